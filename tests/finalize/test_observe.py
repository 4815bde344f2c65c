"""What is looked at before anything is deleted, at doubles of the Kubernetes API and of the programs in pods."""

import json
from collections.abc import Iterator
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from dr.core.errors import AccessError
from dr.finalize.observe import writable
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.run.session import Session
from tests.support.builders import NOW, a_holder, a_record, a_recovered, an_environment, as_seen
from tests.support.doubles import Asked, KubernetesDouble, RanInPod, in_pods, said, serving

NAME = "postgres-prod-recovered"
RECOVERED = replace(as_seen(a_recovered()), primary=f"{NAME}-1")
CLIENT = {
    "database": "shop",
    "role": "keeper",
    "application": "psql",
    "address": "",
    "kind": "client backend",
    "count": 1,
}


class _Pods(KubernetesDouble):
    """One instance of the recovered Cluster."""

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        return 200, {"items": [{"metadata": {"name": f"{NAME}-1"}, "status": {"phase": "Running"}}]}


@pytest.fixture
def wire(own_home: object) -> Iterator[_Pods]:
    with serving(_Pods()) as pods:
        yield pods


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    return Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Event())


def _answers(monkeypatch: pytest.MonkeyPatch, psql: Ran | AccessError, *, serves: int) -> None:
    def answer(ran: RanInPod) -> Ran | AccessError:
        return said(code=serves) if ran.command[0] == "pg_isready" else psql

    in_pods(monkeypatch, answer)


DOWN = said(code=2, errors="psql: the database system is shutting down")


@pytest.mark.parametrize(
    ("primary", "psql", "serves", "reason"),
    [
        (f"{NAME}-1", said("[]"), 0, ""),
        (f"{NAME}-1", said(json.dumps([CLIENT])), 0, "can take writes: keeper through the socket (psql) connected"),
        (f"{NAME}-1", DOWN, 0, "may take writes: who is connected to it could not be asked"),
        (f"{NAME}-1", DOWN, 2, ""),
        (None, said("[]"), 0, "may take writes: who is connected to it could not be asked"),
        (None, said("[]"), 2, ""),
    ],
    ids=["nobody", "somebody", "no answer", "none serves", "no primary, and serves", "no primary, none serves"],
)
def test_a_cluster_that_never_served_is_left_out_only_where_nobody_was_seen_to_be_connected(
    session: Session, monkeypatch: pytest.MonkeyPatch, primary: str | None, psql: Ran, serves: int, reason: str
) -> None:
    """E9: one without a primary counted as one without clients."""
    _answers(monkeypatch, psql, serves=serves)
    found = writable(session, [replace(RECOVERED, primary=primary)], a_record())
    assert found == ({NAME: reason} if reason else {})
