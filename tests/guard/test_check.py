"""The guard at work: what it looks at, what it refuses, and how an override is written down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dr.core.errors import RefusedError
from dr.engine.changes import Change, Changes, Op
from dr.guard.check import judge, observe
from dr.guard.rules import CLUSTER
from dr.kube.api import KubernetesApi
from dr.run.session import Session
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_holder,
    a_record,
    a_recovered,
    an_environment,
    cluster_object,
    object_of,
)
from tests.support.doubles import ObjectStoreDouble, closed_port, serving, write_kubeconfig
from tests.support.fake_environment import CLUSTERS, FakeEnvironment

PATCH = "kubernetes:core/v1:ServicePatch"


@pytest.fixture
def wire(own_home: Path) -> Iterator[FakeEnvironment]:
    with serving(FakeEnvironment()) as world:
        yield world


def session(api: KubernetesApi, **config: Any) -> Session:
    return Session(environment=an_environment(**config), api=api, holder=a_holder(), clock=lambda: NOW)


def a_change(op: Op, kind: str, name: str, **more: Any) -> Changes:
    urn = f"urn:pulumi:prod::postgres-dr::{kind}::{name}"
    return Changes(stack="prod", items=(Change(op=op, type=kind, urn=urn, **more),))


def switching(host: str = RECOVERED_HOST) -> Changes:
    document = {"metadata": {"name": "prod-postgres", "namespace": "data"}, "spec": {"externalName": host}}
    return a_change(Op.CREATE, PATCH, "traffic", after=document)


def deleting(name: str) -> Changes:
    return a_change(Op.DELETE, CLUSTER, name, before={"metadata": {"name": name}})


def refused_by(session: Session, changes: Changes) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        judge(session, pytest.fail)(changes)
    assert {problem.code for problem in refused.value.problems} == {"guard-refused"}
    return [problem.cause for problem in refused.value.problems]


def test_a_verified_and_healthy_cluster_may_take_the_traffic(api: KubernetesApi, wire: FakeEnvironment) -> None:
    judge(session(api), pytest.fail)(switching())


def test_one_that_is_not_verified_may_not(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()))
    (cause,) = refused_by(session(api), switching())
    assert "has not passed its verification" in cause


def test_one_that_is_not_healthy_may_not(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.keep(f"{CLUSTERS}/postgres-prod-recovered", object_of(a_recovered(), healthy=False))
    (cause,) = refused_by(session(api), switching())
    assert "is not healthy" in cause


def test_the_way_back_is_open_to_where_the_traffic_came_from(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()).leaving(SOURCE_HOST, towards=RECOVERED_HOST))
    wire.points_to(RECOVERED_HOST)
    judge(session(api), pytest.fail)(switching(SOURCE_HOST))


def test_the_cluster_that_serves_may_not_go(api: KubernetesApi, wire: FakeEnvironment) -> None:
    (cause,) = refused_by(session(api), deleting("postgres-prod"))
    assert "takes the traffic" in cause


def test_the_clusters_of_other_environments_are_told_apart(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.keep(f"{CLUSTERS}/postgres-dev", cluster_object("postgres-dev"))
    ours = {cluster.name: cluster.ours for cluster in observe(session(api), switching()).clusters}
    assert ours == {"postgres-prod": True, "postgres-prod-recovered": True, "other": True, "postgres-dev": False}


def test_a_window_is_read_where_something_is_recovered(
    api: KubernetesApi, wire: FakeEnvironment, store: ObjectStoreDouble
) -> None:
    store.add_backup("20240501T030000", "2024-05-01 03:00:33+00:00")
    changes = a_change(Op.CREATE, CLUSTER, "postgres-prod-recovered", after=a_recovered().manifest)
    seen = observe(session(api), changes)
    assert not seen.unobserved
    assert list(seen.reach) == ["postgres-prod"]


def test_a_cluster_that_does_not_answer_makes_it_blind_and_refuse(tmp_path: Path, own_home: Path) -> None:
    path = write_kubeconfig(tmp_path / "away", {"acme-prod": closed_port()})
    access = {"context": "acme-prod", "kubeconfig": str(path)}
    away = session(KubernetesApi(an_environment(kubernetes=access).kubernetes))
    assert observe(away, switching()).unobserved
    assert refused_by(away, switching())


def test_an_override_lets_it_pass_and_is_told(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()))
    override = {
        "rule": "traffic-unproven",
        "resource": "traffic",
        "reason": "the verification query itself is wrong",
        "until": "2026-04-27T18:00:00Z",
    }
    told: list[str] = []
    judge(session(api, overrides=[override]), told.append)(switching())
    assert told == ["traffic-unproven of traffic overridden: the verification query itself is wrong"]
    over = {**override, "until": "2026-04-27T11:00:00Z"}
    assert refused_by(session(api, overrides=[over]), switching())
