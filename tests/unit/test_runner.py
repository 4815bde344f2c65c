"""Applying a plan step by step: what is told and written down, and what is known when one fails."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from dr.model.errors import AccessError, DrError, InterruptedOperationError, RecoveryError
from dr.model.plan import Step
from dr.model.progress import RecoveryProgress
from dr.operations.journal import Journal
from dr.operations.runner import Action, StepResult, run_actions
from tests.builders import NOW, a_step

ONE, TWO, THREE = a_step("one", "undo one"), a_step("two", "undo two"), a_step("three")


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


class _Bench:
    """One run with everything it needs."""

    def __init__(self, folder: Path) -> None:
        self.listener = _Listener()
        self.stop = Event()
        self.path = folder / "journal" / "prod.jsonl"
        self.did: list[str] = []

    def doing(self, fact: str) -> Callable[[], str]:
        def do() -> str:
            self.did.append(fact)
            return fact

        return do

    def run(self, *actions: Action) -> list[StepResult]:
        return run_actions(
            actions,
            reporter=self.listener,
            journal=Journal(path=self.path, common={"environment": "prod", "pid": 7}),
            clock=lambda: NOW,
            stop=self.stop,
            go_on="python -m dr pitr --continue",
        )

    def failing(self, *actions: Action) -> DrError:
        with pytest.raises(DrError) as failed:
            self.run(*actions)
        return failed.value

    @property
    def journal(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> _Bench:
    return _Bench(tmp_path)


def _raising(error: Exception) -> Callable[[], str]:
    def do() -> str:
        raise error

    return do


def test_the_steps_are_done_in_order_and_told(bench: _Bench) -> None:
    results = bench.run(Action(step=ONE, do=bench.doing("a")), Action(step=TWO, do=bench.doing("b")))
    assert bench.did == ["a", "b"]
    assert bench.listener.told == [("started", "one"), ("a", "one"), ("started", "two"), ("b", "two")]
    assert [(result.step, result.fact, result.started) for result in results] == [(ONE, "a", NOW), (TWO, "b", NOW)]


def test_every_event_is_a_line_of_the_journal(bench: _Bench) -> None:
    bench.run(Action(step=ONE, do=bench.doing("a")))
    assert [(line["event"], line["step"]) for line in bench.journal] == [("step-started", "one"), ("step-done", "one")]
    assert all(line["at"] == NOW.isoformat() and line["environment"] == "prod" for line in bench.journal)
    assert bench.journal[1]["fact"] == "a"


def test_a_later_run_adds_to_the_journal(bench: _Bench) -> None:
    bench.run(Action(step=ONE, do=bench.doing("a")))
    bench.run(Action(step=TWO, do=bench.doing("b")))
    assert [line["step"] for line in bench.journal] == ["one", "one", "two", "two"]


def test_a_failure_ends_the_run_and_keeps_what_was_done(bench: _Bench) -> None:
    failed = bench.failing(
        Action(step=ONE, do=bench.doing("a")),
        Action(step=TWO, do=_raising(RecoveryError("no-target-backup", "why", "do"))),
        Action(step=THREE, do=bench.doing("c")),
    )
    assert (failed.code, bench.did) == ("no-target-backup", ["a"])
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (TWO, (ONE,))
    assert failed.stopped.go_on == "python -m dr pitr --continue"
    assert failed.stopped.journal == str(bench.path)


def test_a_failure_is_written_down_with_its_cause(bench: _Bench) -> None:
    bench.failing(Action(step=ONE, do=_raising(RecoveryError("no-target-backup", "why", "do"))))
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
    assert bench.failing(Action(step=ONE, do=_raising(error))).__cause__ is behind


def test_an_interruption_before_a_step_leaves_it_undone(bench: _Bench) -> None:
    def then_stop() -> str:
        raise AssertionError("it was done")

    bench.stop.set()
    failed = bench.failing(Action(step=ONE, do=then_stop))
    assert isinstance(failed, InterruptedOperationError)
    assert failed.exit_code == 130
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (ONE, ())
    assert bench.listener.told == []


def test_an_interruption_in_a_step_counts_it_as_begun(bench: _Bench) -> None:
    def stopping() -> str:
        bench.stop.set()
        return "came back early"

    failed = bench.failing(
        Action(step=ONE, do=bench.doing("a")), Action(step=TWO, do=stopping), Action(step=THREE, do=bench.doing("c"))
    )
    assert isinstance(failed, InterruptedOperationError)
    assert failed.stopped is not None
    assert (failed.stopped.at, failed.stopped.done) == (TWO, (ONE,))
    assert bench.did == ["a"]
    assert bench.journal[-1]["event"] == "step-failed"


def test_a_step_that_fails_because_it_was_stopped_is_an_interruption(bench: _Bench) -> None:
    def stopping() -> str:
        bench.stop.set()
        raise AccessError("sql-interrupted", "interrupted while SQL was running", "repeat the command")

    failed = bench.failing(Action(step=ONE, do=stopping))
    assert isinstance(failed, InterruptedOperationError)
    assert failed.exit_code == 130
    assert failed.stopped is not None
    assert bench.journal[-1]["code"] == "interrupted"
