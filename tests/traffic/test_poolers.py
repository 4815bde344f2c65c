"""The pause of a Pooler, as its PgBouncers tell it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.run.session import Session
from dr.switchover.run import Move
from dr.traffic.poolers import PauseSeen, await_paused
from dr.traffic.steps import stop_writers
from dr.traffic.writer_model import POOLER, BackgroundWriter
from tests.support.builders import NOW, a_holder, a_move, a_workload, an_environment
from tests.support.doubles import Asked, KubernetesDouble, RanInPod, in_pods, said, serving

POOL = BackgroundWriter(kind=POOLER, namespace="data", name="pool", setting=True, cluster="postgres-prod")
PAUSED = "key,value\nactive,no\npaused,yes\nsuspended,no\n"
ACTIVE = "key,value\nactive,yes\npaused,no\nsuspended,no\n"
NO_SERVERS = "type,user,database,state,addr\n"
SERVERS = f"{NO_SERVERS}S,keeper,shop,active,10.0.0.9\nS,keeper,shop,idle,10.0.0.9\n"
CLIENTS = """\
type,user,database,state,addr,port,ptr,link,application_name
C,keeper,shop,active,10.0.0.3,1,0x1,0x7,psql
C,keeper,shop,waiting,10.0.0.4,2,0x2,,worker
C,pgbouncer,pgbouncer,active,unix,3,0x3,,
"""


class _Pods(KubernetesDouble):
    """Two pods of the Pooler, one of them not started, and somebody's."""

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        pooler = [("pool-1", "10.0.0.2", "Running"), ("pool-2", None, "Pending")]
        found = pooler if asked.query.get("labelSelector") == "cnpg.io/poolerName=pool" else []
        if "labelSelector" not in asked.query and "/prod/" in asked.path:
            found = [("debug", "10.0.0.3", "Running")]
        return 200, {
            "items": [
                {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"podIP": address, "phase": phase}}
                for name, address, phase in found
            ]
        }


@pytest.fixture
def session(api: KubernetesApi) -> Session:
    return Session(environment=an_environment(), api=api, holder=a_holder(), clock=lambda: NOW, stop=Event())


@pytest.fixture
def wire(own_home: Path) -> Iterator[_Pods]:
    with serving(_Pods()) as pods:
        yield pods


def _pgbouncer(**lists: str | AccessError | Ran) -> Callable[[RanInPod], Ran | AccessError]:
    known = {"STATE": PAUSED, "SERVERS": NO_SERVERS, "CLIENTS": CLIENTS, **lists}

    def answer(ran: RanInPod) -> Ran | AccessError:
        assert ran.pod == "pool-1"
        found = known[ran.command[-1].removeprefix("SHOW ")]
        return said(found) if isinstance(found, str) else found

    return answer


def _seen(session: Session) -> PauseSeen:
    (seen,) = await_paused(session, [POOL], limit=0)
    return seen


def test_it_is_paused_when_pgbouncer_says_so_and_no_connection_is_left(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = in_pods(monkeypatch, _pgbouncer())
    seen = _seen(session)
    assert (seen.paused, str(seen)) == (True, "Pooler data/pool is paused")
    assert [one.command[-1] for one in ran] == ["SHOW STATE", "SHOW SERVERS"]


def test_who_keeps_a_connection_is_named(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """In session mode a client keeps it until it leaves, and goes on writing."""
    in_pods(monkeypatch, _pgbouncer(SERVERS=SERVERS))
    seen = _seen(session)
    assert not seen.paused
    assert str(seen) == "Pooler data/pool still has connections: keeper from prod/debug (psql)"


def test_one_that_has_not_begun_to_pause_is_not_paused(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, _pgbouncer(STATE=ACTIVE))
    seen = _seen(session)
    assert (seen.paused, str(seen)) == (False, "Pooler data/pool is not paused: pool-1")


@pytest.mark.parametrize(
    "answer",
    [AccessError("exec-timeout", "no answer", "look"), said(code=2, errors="no such command"), said("nonsense\n")],
    ids=["timeout", "an old PgBouncer", "another program"],
)
def test_one_that_could_not_be_asked_is_not_paused(
    session: Session, monkeypatch: pytest.MonkeyPatch, answer: AccessError | Ran
) -> None:
    in_pods(monkeypatch, _pgbouncer(STATE=answer))
    seen = _seen(session)
    assert not seen.paused
    assert "could not be asked" in str(seen)


def test_a_pod_that_is_gone_has_no_connection(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, _pgbouncer(STATE=AccessError("not-found", "gone", "look")))
    seen = _seen(session)
    assert (seen.paused, str(seen)) == (True, "Pooler data/pool has no PgBouncer that runs")


def test_it_is_looked_at_once_the_workloads_that_use_it_are_stopped() -> None:
    op, workloads = Move(a_move()), [a_workload("api")]
    report = BackgroundWriter(kind="CronJob", namespace="prod", name="report", setting=True)
    assert [step.key for step in stop_writers(op, workloads, [report, POOL], undo=())] == [
        "stop-writers",
        "drain-poolers",
    ]
    assert [step.key for step in stop_writers(op, workloads, [report], undo=())] == ["stop-writers"]
