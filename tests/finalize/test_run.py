"""The end of an incident at a double of the Kubernetes API: in which order things go."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dr.core.errors import VerificationError
from dr.finalize import dependants_api, steps
from dr.finalize.dependants import Dependant
from dr.finalize.plan import FinalizeDecision, decide_finalization
from dr.finalize.preconditions import FinalizeRequest
from dr.finalize.run import Finalize
from dr.finalize.steps import CarryOver, CarryOverLate, DeleteOld, PutBack
from dr.kube import workloads
from dr.kube.api import KubernetesApi
from dr.run.session import Session
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    a_finalize_situation,
    a_holder,
    a_scheduled_backup,
    a_source,
    an_environment,
)
from tests.support.doubles import Asked, KubernetesDouble, serving

CNPG = "/apis/postgresql.cnpg.io/v1/namespaces/data"


class _World(KubernetesDouble):
    """Deletes and creates at once, and notes it."""

    did: list[str]

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.path.startswith(CNPG) and asked.method == "POST":
            tried = asked.query.get("dryRun") == "All"
            self.did.append(f"{'try' if tried else 'create'} {asked.path.rsplit('/', 1)[1]}")
            return 201, asked.body
        if asked.method == "PATCH":
            return 200, self.objects[asked.path]
        if asked.method == "DELETE":
            self.did.append(f"delete {asked.path.rsplit('/', 1)[1]}")
            self.objects.pop(asked.path, None)
            return 200, {}
        return super()._answer(asked)


@pytest.fixture
def wire(own_home: object) -> Iterator[_World]:
    world = _World()
    world.did = []
    with serving(world):
        yield world


def _finalize(api: KubernetesApi, decision: FinalizeDecision) -> Finalize:
    session = Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW)
    finalize = Finalize(decision)
    finalize.session = session
    return finalize


def _database() -> Dependant:
    metadata = {"name": "shop", "namespace": "data", "uid": "d", "finalizers": ["cnpg.io/deleteDatabase"]}
    raw = {"apiVersion": "postgresql.cnpg.io/v1", "metadata": metadata, "spec": {"cluster": {"name": "postgres-prod"}}}
    return Dependant.from_object("Database", raw)


def test_all_is_tried_before_anything_is_deleted(api: KubernetesApi, wire: _World) -> None:
    """E16: a Database of a hibernated Cluster can be gone only after the Cluster."""
    for one in (a_scheduled_backup(), _database()):
        wire.keep(f"{CNPG}/{one.kind.lower()}s/{one.name}", {"metadata": {"name": one.name, "uid": one.uid}})
    situation = a_finalize_situation(dependants=(a_scheduled_backup(), _database()))
    decision = decide_finalization(an_environment(), FinalizeRequest(), situation)
    finalize = _finalize(api, decision)
    assert CarryOver(finalize).run() == "ScheduledBackup postgres-prod-recovered made, 1 retired"
    assert wire.did == ["try scheduledbackups", "try databases", "delete postgres-prod", "create scheduledbackups"]
    wire.did.clear()
    assert CarryOverLate(finalize).run() == "Database shop made, 1 retired"
    assert wire.did == ["delete shop", "create databases"]


def test_each_cluster_is_looked_at_again_right_before_it_goes(
    api: KubernetesApi, wire: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E9: the first may take minutes to go; a fence can be lifted meanwhile."""
    did: list[str] = []
    monkeypatch.setattr(Finalize, "prove", lambda _: did.append("prove"))
    monkeypatch.setattr(steps, "delete_cluster", lambda _, cluster, **__: did.append(cluster.name))
    former = (a_source(), replace(a_source(), name="postgres-prod-recovered-1"))
    decision = decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation(former=former))
    DeleteOld(_finalize(api, decision)).run()
    assert did == ["prove", "postgres-prod", "prove", "postgres-prod-recovered-1"]


def test_what_was_left_out_is_put_back_as_a_patch_of_the_specification(api: KubernetesApi, wire: _World) -> None:
    """C2."""
    services = {"additional": [{"selectorType": "rw"}]}
    former = (a_source(description="the shop's", managed={"services": services}),)
    decision = decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation(former=former))
    path = f"{CNPG}/clusters/{decision.canonical.name}"
    wire.keep(path, {"metadata": {"name": decision.canonical.name}, "spec": {}})
    assert PutBack(_finalize(api, decision)).run() == "description, managed.services as before"
    (patched,) = (asked for asked in wire.asked if asked.method == "PATCH")
    assert patched.body == {"spec": {"description": "the shop's", "managed": {"services": services}}}


def test_what_was_made_for_the_old_cluster_since_the_plan_stops_its_deletion(
    api: KubernetesApi, wire: _World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E32."""
    decision = decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation())
    later = replace(a_scheduled_backup("hourly"), uid="made-later")
    monkeypatch.setattr(steps, "find_cluster", lambda *_: decision.canonical)
    monkeypatch.setattr(workloads, "external_name", lambda *_: RECOVERED_HOST)
    monkeypatch.setattr(steps, "own_backup", lambda *_: "20260427T110000")
    monkeypatch.setattr(steps, "writable", lambda *_: {})
    monkeypatch.setattr(steps, "still_there", lambda *_: ())
    monkeypatch.setattr(steps, "record_of", lambda *_: None)
    monkeypatch.setattr(dependants_api, "secret_users", lambda *_: ())
    found = [a_scheduled_backup()]
    monkeypatch.setattr(dependants_api, "list_dependants", lambda *_: tuple(found))
    assert _finalize(api, decision).prove().startswith("serves")
    found.append(later)
    with pytest.raises(VerificationError, match="ScheduledBackup hourly of postgres-prod was made since the plan"):
        _finalize(api, decision).prove()
