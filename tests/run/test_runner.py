"""Applying a plan step by step: what is told and written down, and what is known when one fails."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from dr.cnpg.progress import RecoveryProgress
from dr.core.errors import AccessError, DrError, InterruptedOperationError, RecoveryError
from dr.core.history import OperationEntry, Outcome
from dr.core.plan import Plan, Step
from dr.run.journal import Journal
from dr.run.runner import run_steps
from tests.support.builders import NOW, a_step
from tests.support.doubles import RecordsDouble

PLAN = Plan(operation="pitr", environment="prod", facts={"Target": "noon"}, steps=())


def one(do: Callable[[], str] = lambda: "") -> Step:
    return a_step("one", "undo one", do=do)


def two(do: Callable[[], str] = lambda: "") -> Step:
    return a_step("two", "undo two", do=do)


def three(do: Callable[[], str]) -> Step:
    return a_step("three", do=do)


class _Listener:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def step_started(self, step: Step) -> None:
        self.told.append(("started", step.key))

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        self.told.append((fact, step.key))

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        raise AssertionError("no recovery runs here")

    def progress(self, said: str) -> None:
        self.told.append(("progress", said))


class _Bench:
    """One run with everything it needs."""

    def __init__(self, folder: Path) -> None:
        self.listener = _Listener()
        self.stop = Event()
        self.path = folder / "journal" / "prod.jsonl"
        self.did: list[str] = []
        self.records = RecordsDouble()

    def doing(self, fact: str) -> Callable[[], str]:
        def do() -> str:
            self.did.append(fact)
            return fact

        return do

    def run(self, *steps: Step) -> tuple[tuple[str, float, str], ...]:
        return run_steps(
            steps,
            reporter=self.listener,
            journal=self._journal(),
            clock=lambda: NOW,
            stop=self.stop,
            go_on="python -m dr pitr --continue",
        )

    def _journal(self) -> Journal:
        journal = Journal(
            path=self.path, common={"environment": "prod", "pid": 7}, records=self.records, user="ann@ops-1"
        )
        journal.begin(PLAN, "python -m dr pitr --continue", NOW)
        return journal

    def failing(self, *steps: Step) -> DrError:
        with pytest.raises(DrError) as failed:
            self.run(*steps)
        return failed.value

    @property
    def journal(self) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        return [line for line in lines if line["event"] != "operation-started"]

    @property
    def entry(self) -> OperationEntry:
        assert self.records.record is not None
        return self.records.record.operations[-1]


@pytest.fixture
def bench(tmp_path: Path) -> _Bench:
    return _Bench(tmp_path)


def _raising(error: Exception) -> Callable[[], str]:
    def do() -> str:
        raise error

    return do


def test_the_steps_are_done_in_order_and_told(bench: _Bench) -> None:
    results = bench.run(one(bench.doing("a")), two(bench.doing("b")))
    assert bench.did == ["a", "b"]
    assert bench.listener.told == [("started", "one"), ("a", "one"), ("started", "two"), ("b", "two")]
    assert [(key, fact) for key, _, fact in results] == [("one", "a"), ("two", "b")]


def test_every_event_is_a_line_of_the_journal(bench: _Bench) -> None:
    bench.run(one(bench.doing("a")))
    assert [(line["event"], line["step"]) for line in bench.journal] == [("step-started", "one"), ("step-done", "one")]
    assert all(line["at"] == NOW.isoformat() and line["environment"] == "prod" for line in bench.journal)
    assert bench.journal[1]["fact"] == "a"


def test_the_journal_is_its_owners_alone(bench: _Bench) -> None:
    """O11."""
    bench.run(one(bench.doing("a")))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (bench.path, bench.path.parent)] == [0o600, 0o700]


def test_a_later_run_adds_to_the_journal(bench: _Bench) -> None:
    bench.run(one(bench.doing("a")))
    bench.run(two(bench.doing("b")))
    assert [line["step"] for line in bench.journal] == ["one", "one", "two", "two"]


def test_a_failure_ends_the_run_and_keeps_what_was_done(bench: _Bench) -> None:
    failed = bench.failing(
        one(bench.doing("a")),
        two(_raising(RecoveryError("no-target-backup", "why", "do"))),
        three(bench.doing("c")),
    )
    assert (failed.code, bench.did) == ("no-target-backup", ["a"])
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (two().taken, (one().taken,))
    assert failed.stopped.go_on == "python -m dr pitr --continue"
    assert failed.stopped.journal == str(bench.path)


def test_a_failure_is_written_down_with_its_cause(bench: _Bench) -> None:
    bench.failing(one(_raising(RecoveryError("no-target-backup", "why", "do"))))
    last = bench.journal[-1]
    assert (last["event"], last["step"], last["code"], last["cause"]) == (
        "step-failed",
        "one",
        "no-target-backup",
        "why",
    )


def test_a_failure_keeps_the_third_partys_error_behind_it(bench: _Bench) -> None:
    behind = OSError("the wire")
    error = AccessError("api-unreachable", "why", "do")
    error.__cause__ = behind
    assert bench.failing(one(_raising(error))).__cause__ is behind


def test_an_interruption_before_a_step_leaves_it_undone(bench: _Bench) -> None:
    def then_stop() -> str:
        raise AssertionError("it was done")

    bench.stop.set()
    failed = bench.failing(one(then_stop))
    assert isinstance(failed, InterruptedOperationError)
    assert failed.exit_code == 130
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (one().taken, ())
    assert bench.listener.told == []


def test_an_interruption_in_a_step_counts_it_as_begun(bench: _Bench) -> None:
    def stopping() -> str:
        bench.stop.set()
        return "came back early"

    failed = bench.failing(one(bench.doing("a")), two(stopping), three(bench.doing("c")))
    assert isinstance(failed, InterruptedOperationError)
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (two().taken, (one().taken,))
    assert bench.did == ["a"]
    assert bench.journal[-1]["event"] == "step-failed"


def test_a_step_that_fails_because_it_was_stopped_is_an_interruption(bench: _Bench) -> None:
    def stopping() -> str:
        bench.stop.set()
        raise AccessError("exec-interrupted", "interrupted while SQL was running", "repeat the command")

    failed = bench.failing(one(stopping))
    assert isinstance(failed, InterruptedOperationError)
    assert failed.exit_code == 130
    assert failed.stopped is not None
    assert bench.journal[-1]["code"] == "interrupted"


def test_the_cluster_keeps_the_operation_with_its_steps(bench: _Bench) -> None:
    bench.run(one(bench.doing("a")), two(bench.doing("b")))
    entry = bench.entry
    assert (entry.operation, entry.user, entry.go_on) == ("pitr", "ann@ops-1", "python -m dr pitr --continue")
    assert [(step.key, step.fact, step.ended) for step in entry.steps] == [("one", "a", NOW), ("two", "b", NOW)]
    assert entry.outcome is Outcome.RUNNING


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (RecoveryError("no-target-backup", "why", "do"), Outcome.FAILED),
        (InterruptedOperationError("interrupted", "why", "do"), Outcome.INTERRUPTED),
    ],
)
def test_the_cluster_keeps_how_it_ended(bench: _Bench, error: DrError, outcome: Outcome) -> None:
    bench.failing(one(bench.doing("a")), two(_raising(error)))
    assert (bench.entry.outcome, bench.entry.cause, bench.entry.done) == (outcome, "why", ("one",))
    assert bench.records.record is not None
    assert bench.records.record.unfinished == bench.entry


def test_a_cluster_that_is_away_for_a_moment_stops_nothing_and_gets_it_all_later(bench: _Bench) -> None:
    def away() -> str:
        bench.records.away = AccessError("api-unreachable", "restarting", "wait")
        return "a"

    def back() -> str:
        bench.records.away = None
        return "b"

    bench.run(one(away), two(back))
    assert [step.fact for step in bench.entry.steps] == ["a", "b"]
    assert "record-not-written" in [line["event"] for line in bench.journal]


def _no_room(path: Path) -> None:
    """What is at ``path`` cannot be written any more: a folder stands in its place."""
    path.unlink()
    path.mkdir()


def test_a_journal_that_cannot_be_written_stops_nothing_and_is_told(bench: _Bench) -> None:
    """O1."""

    def fill() -> str:
        _no_room(bench.path)
        return "a"

    no = AccessError("forbidden", "no", "do")
    failed = bench.failing(one(fill), two(_raising(no)))
    assert failed.code == "forbidden"
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (two().taken, (one().taken,))
    assert str(bench.path) in failed.stopped.unwritten
    assert (bench.entry.outcome, bench.entry.done) == (Outcome.FAILED, ("one",))


def test_whatever_the_record_fails_with_the_failure_of_the_step_is_told(bench: _Bench) -> None:
    """O1."""

    def odd() -> str:
        bench.records.away = ValueError("no record")  # type: ignore[assignment]
        raise AccessError("forbidden", "no", "do")

    failed = bench.failing(one(odd))
    assert failed.code == "forbidden"
    assert failed.stopped is not None
    assert "no record" in failed.stopped.unwritten


def test_a_journal_that_is_whole_lacks_nothing(bench: _Bench) -> None:
    failed = bench.failing(one(_raising(AccessError("forbidden", "no", "do"))))
    assert failed.stopped is not None
    assert failed.stopped.unwritten == ""


def test_an_operation_whose_journal_cannot_be_begun_does_not_begin(bench: _Bench) -> None:
    """O1."""
    bench.path.parent.write_text("no folder")
    with pytest.raises(AccessError) as failed:
        bench.run(one(bench.doing("a")))
    assert (failed.value.code, failed.value.stopped, bench.did) == ("state-folder-unusable", None, [])
