"""Who else is connected: asked of the database, and told apart from the pods that are stopped."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.run.session import Session
from dr.traffic.clients import other_clients
from dr.traffic.writer_model import POOLER, BackgroundWriter
from tests.support.builders import NOW, a_holder, a_source, a_workload, an_environment
from tests.support.doubles import Asked, KubernetesDouble, in_pods, said, serving

API, POOLED, PERSON, REPLICA = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"
POOL = BackgroundWriter(kind=POOLER, namespace="data", name="pool", setting=False, cluster="postgres-prod")


class _Pods(KubernetesDouble):
    """The pods of one Deployment and one Pooler, and one that nobody has declared."""

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        by_selector = {
            "app=api": [("api-1", API)],
            "cnpg.io/poolerName=pool": [("pool-1", POOLED)],
            "": [("api-1", API), ("debug", PERSON)] if "/prod/" in asked.path else [("pool-1", POOLED)],
        }
        found = by_selector.get(asked.query.get("labelSelector", ""), [])
        items = [
            {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"podIP": address}}
            for name, address in found
        ]
        return 200, {"items": items}


def _client(address: str, **more: Any) -> dict[str, Any]:
    there = {"database": "shop", "role": "keeper", "application": "psql", "kind": "client backend", "count": 1}
    return {**there, "address": address, **more}


@pytest.fixture
def wire(own_home: Path) -> Iterator[_Pods]:
    with serving(_Pods()) as pods:
        yield pods


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    return Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Event())


def test_those_that_no_step_stops_are_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """E7."""
    connected = [_client(API), _client(POOLED), _client(PERSON), _client("192.0.2.9", count=3)]
    in_pods(monkeypatch, lambda _: said(json.dumps(connected)))
    found = other_clients(session, a_source(), workloads=[a_workload("api"), None], held=[POOL])
    assert found is not None
    assert [str(one) for one in found] == [
        "keeper from prod/debug (psql)",
        "3 sessions of keeper from 192.0.2.9 (psql)",
    ]


def test_who_comes_through_a_pooler_that_is_paused_already_is_named(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E7. PgBouncer pauses a session at its end."""
    in_pods(monkeypatch, lambda _: said(json.dumps([_client(POOLED)])))
    found = other_clients(session, a_source(), held=[replace(POOL, setting=True)])
    assert found is not None
    assert [str(one) for one in found] == ["keeper from data/pool-1 (psql)"]


def test_what_works_within_the_server_is_named_too(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """E7."""
    worker = _client("", kind="pg_cron launcher", role="", database="")
    in_pods(monkeypatch, lambda _: said(json.dumps([worker])))
    found = other_clients(session, a_source())
    assert found is not None
    assert [str(one) for one in found] == ["pg_cron launcher"]


@pytest.mark.parametrize(
    "answer", [AccessError("exec-timeout", "no answer", "look"), said("nonsense"), said(code=2, errors="down")]
)
def test_who_could_not_be_asked_is_not_nobody(session: Session, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    in_pods(monkeypatch, lambda _: answer)
    assert other_clients(session, a_source()) is None
