"""What a person reads, and how the process is stopped."""

import os
import signal
from threading import Event

import pytest

from dr.cli.live import describe, reporter_for
from dr.cli.rendering import error_as_json, show_error, show_plan
from dr.cli.signals import interrupt_on_sigterm, stopping
from dr.model.errors import DrError, RecoveryError, Stopped
from dr.model.plan import Plan
from dr.model.progress import RecoveryProgress, Stage
from tests.builders import a_decision, a_step

LONG = "kubectl --context acme-prod scale deployment/" + "a" * 120


def _stopped() -> DrError:
    error = RecoveryError("recovery-timeout", "not healthy within [1200] s", "see what it waits for")
    error.stopped = Stopped(
        at=a_step("recover", "undo recover"),
        done=(a_step("remember"), a_step("stop-writers", LONG)),
        go_on="python -m dr pitr --continue",
        journal="/state/journal/prod.jsonl",
    )
    return error


def test_a_stopped_operation_says_what_was_done_how_to_undo_it_and_how_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_error(_stopped())
    lines = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert "recovery: not healthy within [1200] s" in lines
    assert "do: see what it waits for" in lines
    assert "Stopped in Recover." in lines
    assert "done  Stop-writers" in lines
    assert "begun Recover" in lines
    assert LONG in lines, "a command that is broken over lines cannot be pasted"
    assert "undo recover" in lines
    assert "To go on: python -m dr pitr --continue" in lines
    assert "Journal: /state/journal/prod.jsonl" in lines
    assert "Nothing was changed." not in lines


def test_a_stopped_operation_as_json() -> None:
    told = error_as_json(_stopped())
    assert told["changed"] is True
    assert told["stopped"] == {
        "at": "recover",
        "done": ["remember", "stop-writers"],
        "undo": [LONG, "undo recover"],
        "goOn": "python -m dr pitr --continue",
        "journal": "/state/journal/prod.jsonl",
    }


def test_a_plans_undo_commands_are_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(Plan(operation="pitr", environment="prod", facts={"Target": "x"}, steps=(a_step("one", LONG),)))
    assert f"  {LONG}" in capsys.readouterr().out.splitlines()


def test_brackets_in_a_cause_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(RecoveryError("x", "[red]cause[/red]", "[b]remedy"))
    err = capsys.readouterr().err
    assert "[red]cause[/red]" in err
    assert "[b]remedy" in err


def test_a_replay_is_described_with_its_segment_and_attempt() -> None:
    said = describe(RecoveryProgress(stage=Stage.REPLAY, wal="000000010000000000000006", segments=4, attempt=2))
    assert said == "replaying WAL; segment 000000010000000000000006, 4 so far; attempt 2"


def test_waiting_is_described_with_what_for() -> None:
    assert describe(RecoveryProgress(stage=Stage.WAITING, waiting_for="no node")).endswith("waiting: no node")


def test_without_a_terminal_each_change_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    plan = a_decision().plan
    with reporter_for(plan, quiet=False) as reporter:
        reporter.step_started(plan.steps[0])
        for elapsed in (1.0, 1.5, 2.0):
            reporter.recovery(RecoveryProgress(), elapsed=elapsed, limit=1200)
        reporter.step_done(plan.steps[0], "api 3", 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"[1/{len(plan.steps)}] Remember")
    assert "creating the cluster" in lines[1]
    assert lines[2].endswith("api 3")


def test_with_json_nothing_is_said_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    plan = a_decision().plan
    with reporter_for(plan, quiet=True) as reporter:
        reporter.step_started(plan.steps[0])
        reporter.recovery(RecoveryProgress(), elapsed=1, limit=2)
        reporter.step_done(plan.steps[0], "fact", 1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_an_operation_runs_a_signal_only_sets_the_event(number: signal.Signals, own_signals: None) -> None:
    stop = Event()
    with stopping(stop):
        os.kill(os.getpid(), number)
        assert stop.wait(10)


def test_the_handlers_of_before_come_back(own_signals: None) -> None:
    interrupt_on_sigterm()
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with stopping(Event()):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_before_an_operation_sigterm_does_what_ctrl_c_does(own_signals: None) -> None:
    interrupt_on_sigterm()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
