"""The whole cluster of prod is lost, node and etcd and volumes, and only the bucket, Git and Pulumi's state are left.

Google is the lab's double; its GKE cluster is a new, empty lab node. Everything on it is real.
"""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google.cloud import storage

from lab.environment import environment
from tests.e2e.journal_watch import Watched
from tests.e2e.operator_seat import Outcome, Seat, await_health, engine_processes, lab

pytestmark = pytest.mark.long

STEPS = [
    *("survivors", "durable", "platform", "kubeconfig", "argocd", "operator"),
    *("database", "recover", "switchover", "smoke-test"),
]
AGREED = ("--yes", "--confirm", "postgres-prod")
BUCKET = "tomoda-db-backups-development-485000"


@dataclass(frozen=True)
class Lost:
    """Prod after its cluster is gone: ``rows`` users were acknowledged and archived; ``archive`` is the lost database's
    with the generation of each object.
    """

    seat: Seat
    rows: int
    archive: dict[str, int]


@pytest.fixture
def lost(prod: Seat, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lost]:
    """Rows are written and archived, and then the cluster is lost."""
    url = prod.health_url().removesuffix("/health")
    await_health(f"{url}/health", 200)
    for _ in range(20):
        assert httpx.post(f"{url}/users", timeout=10).status_code == httpx.codes.CREATED
    rows = int(prod.psql(prod.source, "SELECT count(*) FROM users"))
    sealed = prod.psql(prod.source, "SELECT pg_walfile_name(pg_switch_wal())")
    archived = "SELECT last_archived_wal >= %r FROM pg_stat_archiver" % sealed  # noqa: UP031 - psql's quotes
    deadline = time.monotonic() + 60
    while prod.psql(prod.source, archived) != "t":
        assert time.monotonic() < deadline, f"{sealed} is not archived"
        time.sleep(0.5)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", environment()["STORAGE_EMULATOR_HOST"])
    lab("cluster", "gone")
    yield Lost(prod, rows, _archive())
    lab("up")
    lab("reset")


def _archive() -> dict[str, int]:
    """The lost database's WAL and base backups in the bucket."""
    blobs = storage.Client().list_blobs(BUCKET, prefix="prod/postgres-prod/")
    return {blob.name: blob.generation for blob in blobs}


def _facts(outcome: Outcome) -> dict[str, str]:
    assert outcome.code == 0, outcome
    return {step["key"]: step["fact"] for step in outcome.document["steps"]}


def _assert_serving(lost: Lost, outcome: Outcome) -> None:
    """The application answers with every row that was archived, from a recovered database, and the archive is as it
    was.
    """
    assert outcome.code == 0, outcome
    document = outcome.document
    assert (document["origin"], document["serving"]) == ("bootstrapped fresh", "postgres-prod-recovered")
    answer = await_health(lost.seat.health_url(), 200)
    assert answer.status_code == httpx.codes.OK
    assert answer.json()["users"] >= lost.rows
    assert {name: made for name, made in _archive().items() if name in lost.archive} == lost.archive
    assert set(_archive()) == set(lost.archive)


def _told(name: str, document: dict[str, Any]) -> None:
    steps = ", ".join(f"{step['key']} {step['seconds']:.1f}" for step in document["steps"])
    print(f"\n{name}: {document['seconds']:.1f} s ({steps})")


def test_everything_comes_back_and_a_second_run_finds_nothing_to_do(lost: Lost) -> None:
    # GIVEN nothing of the cluster
    plan = lost.seat.dr("full-rebuild", "--env", "prod", "--dry-run")
    assert plan.code == 0, plan
    assert plan.document["plan"]["facts"]["Survives"].startswith("postgres-prod: base backup")
    # WHEN it is rebuilt
    outcome = lost.seat.dr("full-rebuild", "--env", "prod", *AGREED)
    # THEN it serves
    _assert_serving(lost, outcome)
    _told("full rebuild", outcome.document)
    # AND a second run finds nothing to do
    begin = time.monotonic()
    again = lost.seat.dr("full-rebuild", "--env", "prod", *AGREED)
    took = time.monotonic() - begin
    idle = [key for key, fact in _facts(again).items() if fact.startswith("nothing to do")]
    assert idle == STEPS[1:3] + STEPS[4:9]
    _told(f"second run, {took:.1f} s in all", again.document)
    assert took < 60


def test_killed_in_each_of_its_steps_it_goes_on(lost: Lost) -> None:
    arguments: tuple[str, ...] = ("full-rebuild", "--env", "prod")
    killed: list[str] = []
    for step in STEPS:
        run = Watched(lost.seat, *arguments, *AGREED)
        assert run.begun(step), (step, run.finish())
        run.process.send_signal(signal.SIGKILL)
        assert run.finish().code == -signal.SIGKILL
        killed.append(step)
        arguments = ("resume", "--env", "prod")
    outcome = lost.seat.dr("resume", "--env", "prod", *AGREED)
    _assert_serving(lost, outcome)
    assert killed == STEPS
    assert engine_processes() == []
    nothing = lost.seat.dr("resume", "--env", "prod")
    assert nothing.problem_codes == ["nothing-to-resume"], json.dumps(nothing.document)
