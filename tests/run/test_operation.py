"""What all operations have in common: the lease around the steps, the journal, an engine that is not left behind."""

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from dr.cli.progress import reporter_for
from dr.core.errors import AccessError, FaultError, InterruptedOperationError, RefusedError
from dr.core.history import Outcome
from dr.core.plan import Plan, Step
from dr.engine.backend import Backend
from dr.engine.recovery_stack import RecoveryStack
from dr.kube.api import KubernetesApi
from dr.reports.summary import RunSummary
from dr.run import lease, report_keeping
from dr.run.journal import Journal
from dr.run.operation import OperationContext, run_operation
from dr.run.session import Session
from tests.support.builders import NOW, a_holder, a_step, an_environment, lease_object
from tests.support.doubles import Impatient, KubernetesDouble, a_dead_process, kube_status, serving
from tests.support.waiting import HANG_SECONDS

LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"
RECORDS = "/api/v1/namespaces/data/configmaps"
ME, BOB = a_holder(), "bob@ops-2:8"
GO_ON = "python -m dr switchover --env prod"


@pytest.fixture
def wire() -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as wire:
        yield wire


class _Engine(RecoveryStack):
    """An engine that notes when it was prepared and interrupted, and who held the lease then."""

    def __init__(self, holder: Callable[[], str]) -> None:
        self.backend = Backend.of(an_environment())
        self.told: list[tuple[str, str]] = []
        self._holder = holder

    def prepare(self) -> None:
        self.told.append(("prepare", self._holder()))

    def interrupt(self) -> None:
        self.told.append(("interrupt", self._holder()))


@dataclass
class _Told:
    """A report."""

    course: RunSummary

    def as_json(self) -> dict[str, object]:
        return {"steps": [fact for _, _, fact in self.course.steps]}


class _Bench:
    """One operation with everything it needs."""

    def __init__(self, api: KubernetesApi, wire: KubernetesDouble, folder: Path) -> None:
        self.wire = wire
        self.stop = Event()
        self.did: list[tuple[str, str]] = []
        self.engine = _Engine(lambda: self.holder)
        self._api = api
        self._folder = folder

    def run(
        self,
        two: Callable[[], object] = lambda: None,
        *,
        take_over: bool = False,
        stop: Event | None = None,
        report: Callable[[RunSummary], _Told] = _Told,
    ) -> tuple[tuple[str, float, str], ...]:
        """Run the plan, with ``two`` in its second step."""
        session = Session(
            environment=an_environment(),
            api=self._api,
            holder=ME,
            clock=lambda: NOW,
            stop=stop or self.stop,
            take_over=take_over,
        )
        journal = Journal(path=self._folder / "prod.jsonl", common={}, records=session.records, user="ann@ops-1")
        steps = (self._step("one"), self._step("two", two))
        plan = Plan(operation="switchover", environment="prod", facts={"To": "x"}, steps=steps)
        with reporter_for(plan, quiet=True) as reporter:
            context = OperationContext(session=session, stack=self.engine, journal=journal, reporter=reporter)
            return run_operation(context, plan, go_on=GO_ON, report=report).course.steps

    def _step(self, key: str, then: Callable[[], object] = lambda: None) -> Step:
        def do() -> str:
            self.did.append((key, self.holder))
            then()
            return f"fact of {key}"

        return a_step(key, do=do)

    @property
    def holder(self) -> str:
        return str(self.wire.objects[LEASE]["spec"]["holderIdentity"]) if LEASE in self.wire.objects else ""

    @property
    def operations(self) -> list[dict[str, object]]:
        """What the record in the cluster says."""
        found = self.wire.objects.get(f"{RECORDS}/postgres-dr-prod")
        return list(json.loads(found["data"]["record.json"])["operations"]) if found else []

    @property
    def lock(self) -> Path:
        """Where Pulumi would keep the lock of another run on the same state."""
        folder = self.engine.backend.folder
        assert folder is not None
        return folder / ".pulumi" / "locks" / "organization" / "postgres-dr" / "prod" / "lock.json"

    def locked_by(self, host: str, pid: int) -> None:
        self.lock.parent.mkdir(parents=True)
        self.lock.write_text(json.dumps({"username": "bob", "hostname": host, "pid": pid}))


@pytest.fixture
def bench(api: KubernetesApi, wire: KubernetesDouble, tmp_path: Path) -> _Bench:
    return _Bench(api, wire, tmp_path)


def _fail() -> None:
    raise AccessError("api-unreachable", "the wire is cut", "fix it")


def test_the_lease_is_held_around_all_steps_and_given_back(bench: _Bench) -> None:
    results = bench.run()
    assert bench.did == [("one", str(ME)), ("two", str(ME))]
    assert [(key, fact) for key, _, fact in results] == [("one", "fact of one"), ("two", "fact of two")]
    assert bench.holder == ""


def test_the_engine_is_prepared_and_taken_down_while_the_lease_is_held(bench: _Bench) -> None:
    bench.run()
    assert bench.engine.told == [("prepare", str(ME)), ("interrupt", str(ME))]


def test_a_step_that_fails_leaves_neither_the_engine_nor_the_lease_behind(bench: _Bench) -> None:
    with pytest.raises(AccessError) as failed:
        bench.run(_fail)
    assert failed.value.stopped is not None
    assert failed.value.stopped.go_on == GO_ON
    assert bench.engine.told[-1] == ("interrupt", str(ME))
    assert bench.holder == ""


def test_an_interruption_leaves_neither_behind(bench: _Bench) -> None:
    with pytest.raises(InterruptedOperationError):
        bench.run(bench.stop.set)
    assert bench.engine.told[-1] == ("interrupt", str(ME))
    assert bench.holder == ""


def test_what_nobody_expected_leaves_neither_behind(bench: _Bench) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(interrupt)
    assert bench.engine.told[-1] == ("interrupt", str(ME))
    assert bench.holder == ""


def test_the_operation_is_written_down_in_the_cluster(bench: _Bench) -> None:
    bench.run()
    (operation,) = bench.operations
    assert (operation["operation"], operation["go_on"], operation["facts"]) == ("switchover", GO_ON, {"To": "x"})
    assert (operation["user"], operation["outcome"]) == ("ann@ops-1", Outcome.DONE)


def test_an_operation_that_failed_is_written_down_with_its_cause(bench: _Bench) -> None:
    with pytest.raises(AccessError):
        bench.run(_fail)
    (operation,) = bench.operations
    assert (operation["outcome"], operation["cause"]) == (Outcome.FAILED, "the wire is cut")


def test_while_another_operator_is_at_work_nothing_begins(bench: _Bench, wire: KubernetesDouble) -> None:
    wire.keep(LEASE, lease_object(BOB))
    with pytest.raises(RefusedError) as refused:
        bench.run()
    assert refused.value.problems[0].code == "another-operator"
    assert refused.value.stopped is None
    assert (bench.did, bench.engine.told, bench.operations) == ([], [], [])
    assert {asked.method for asked in wire.asked} == {"GET"}


def test_an_operation_that_cannot_be_written_down_does_not_begin(bench: _Bench, wire: KubernetesDouble) -> None:
    wire.on(RECORDS, kube_status(403, "configmaps is forbidden"), status=403, method="POST")
    with pytest.raises(AccessError) as failed:
        bench.run()
    assert failed.value.code == "forbidden"
    assert bench.did == []
    assert bench.holder == ""


def test_losing_the_lease_stops_the_operation_before_its_next_step(
    bench: _Bench, wire: KubernetesDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)

    def lose() -> None:
        wire.keep(LEASE, lease_object(BOB))
        assert bench.stop.wait(HANG_SECONDS)

    with pytest.raises(InterruptedOperationError):
        bench.run(lose)
    assert bench.engine.told[-1] == ("interrupt", BOB)
    assert bench.holder == BOB


def test_the_lock_of_a_dead_engine_is_taken_away(bench: _Bench) -> None:
    bench.locked_by(socket.gethostname(), a_dead_process())
    bench.run()
    assert not bench.lock.exists()


def test_the_lock_of_an_engine_elsewhere_is_taken_away_only_deliberately(bench: _Bench) -> None:
    bench.locked_by("ops-2", 8)
    bench.run()
    assert bench.lock.exists()
    bench.run(take_over=True, stop=Impatient())
    assert not bench.lock.exists()


def test_a_take_over_that_is_refused_leaves_the_others_engine_its_lock(bench: _Bench, wire: KubernetesDouble) -> None:
    # GIVEN another operator who is alive, whose engine is at work on the same state
    wire.keep(LEASE, lease_object(BOB))
    bench.locked_by("ops-2", 8)

    def renew(_: int) -> None:
        wire.keep(LEASE, lease_object(BOB, NOW + timedelta(seconds=5)))

    # WHEN somebody believes them dead, and is refused
    with pytest.raises(RefusedError):
        bench.run(take_over=True, stop=Impatient(renew))
    # THEN their lock still stands
    assert bench.lock.exists()


def test_a_report_is_left_by_what_ended_well_and_by_what_failed(bench: _Bench, tmp_path: Path) -> None:
    bench.run()
    with pytest.raises(AccessError) as failed:
        bench.run(_fail)
    kept = [json.loads(path.read_text()) for path in sorted((tmp_path / "prod").glob("*.json"))]
    # The clock of this bench stands still, so both have one ID: the failure is the last that was written.
    assert [(report["outcome"], report["failed"]["step"]) for report in kept] == [("failed", "two")]
    assert failed.value.stopped is not None
    assert failed.value.stopped.report == str(tmp_path / "prod" / f"{kept[0]['id']}.html")


def test_what_fails_after_the_last_step_says_that_all_were_done(bench: _Bench) -> None:
    """O1."""

    def fail(_: RunSummary) -> _Told:
        raise KeyError("a fault in the report")

    with pytest.raises(FaultError) as failed:
        bench.run(report=fail)
    assert failed.value.stopped is not None
    assert [step.key for step in failed.value.stopped.done] == ["one", "two"]
    assert failed.value.stopped.go_on == GO_ON


def test_a_report_that_cannot_be_made_hides_no_failure(bench: _Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """O1."""

    def fail(*_: object) -> str:
        raise KeyError("a fault in the page")

    monkeypatch.setattr(report_keeping, "page", fail)
    with pytest.raises(AccessError) as failed:
        bench.run(_fail)
    assert failed.value.stopped is not None
    assert [step.key for step in failed.value.stopped.done] == ["one"]
