"""What a person reads, and how the process is stopped."""

import os
import signal
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from rich.text import Text

from dr.cli.console import err, error_as_json, out, show_error, show_plan
from dr.cli.progress import describe, reporter_for
from dr.cli.signals import interrupt_on_sigterm, stopping
from dr.cnpg.cluster import Archiving
from dr.cnpg.progress import RecoveryProgress, Stage
from dr.core.errors import DrError, RecoveryError, Stopped
from dr.core.history import Outcome
from dr.core.plan import Plan
from dr.recovery.run import Recovery
from dr.status.advice import Status
from dr.status.view import show_status
from dr.switchover.report import MoveReport
from dr.switchover.view import show_move
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_decision,
    a_lease,
    a_move,
    a_record,
    a_recovered,
    a_source,
    a_step,
    a_traffic_situation,
    a_workload,
    an_entry,
    an_environment,
    as_seen,
)
from tests.support.waiting import HANG_SECONDS

LONG = "kubectl --context acme-prod scale deployment/" + "a" * 120


def _stopped() -> DrError:
    error = RecoveryError("recovery-timeout", "not healthy within [1200] s", "see what it waits for")
    error.stopped = Stopped(
        at=a_step("recover", "undo recover").taken,
        done=(a_step("remember").taken, a_step("stop-writers", LONG).taken),
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
    assert "done     Stop-writers" in lines
    assert "started  Recover" in lines
    assert LONG in lines, "a command that is broken over lines cannot be pasted"
    assert "undo recover" in lines
    assert "To continue: python -m dr pitr --continue" in lines
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
        "report": "",
        "unwritten": "",
    }


def test_a_plans_undo_commands_are_whole_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(Plan(operation="pitr", environment="prod", facts={"Target": "x"}, steps=(a_step("one", LONG),)))
    assert f"  {LONG}" in capsys.readouterr().out.splitlines()


def _on_a_terminal(monkeypatch: pytest.MonkeyPatch, *, width: int) -> None:
    for console in (out, err):
        monkeypatch.setattr(console, "_force_terminal", True)
        monkeypatch.setattr(console, "no_color", True)
        monkeypatch.setattr(console, "_width", width)
        monkeypatch.setattr(console, "_height", 50)


def _plain(text: str) -> list[str]:
    return Text.from_ansi(text).plain.splitlines()


def test_an_error_on_a_terminal_breaks_between_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O13."""
    _on_a_terminal(monkeypatch, width=40)
    cause = "the recovered cluster is not healthy within twenty minutes, and its pod waits for a volume"
    show_error(RecoveryError("recovery-timeout", cause, f"see what it waits for: {LONG}"))
    lines = _plain(capsys.readouterr().err)
    assert " ".join(line.strip() for line in lines[:3]) == f"recovery: {cause}"
    assert f"  do: see what it waits for: {LONG}" in lines, "a command that is broken over lines cannot be pasted"


def test_no_name_is_cut_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O13. `status` cut the recovered Cluster's name."""
    _on_a_terminal(monkeypatch, width=40)
    name = "postgres-prod-recovered-with-a-long-name"
    show_status(_status(clusters=(a_source(), as_seen(a_recovered(name)))))
    show_plan(Recovery(a_decision()).plan)
    said = "\n".join(_plain(capsys.readouterr().out))
    assert name in said
    assert RECOVERED_HOST.partition(".")[0].removesuffix("-rw") in said
    assert "\N{HORIZONTAL ELLIPSIS}" not in said


def _moved(*, back: bool = False, smoke: str = "200 {}") -> MoveReport:
    situation = a_traffic_situation(new_cluster=a_source()) if back else None
    return MoveReport(
        decision=a_move(situation, back=back),
        environment=an_environment(),
        started=NOW,
        seconds=12.34,
        steps=(("switch", 3.0, "it points there"),),
        smoke=smoke,
        journal=f"/state/{'j' * 120}.jsonl",
    )


def test_a_move_is_told_with_where_to_the_smoke_test_and_the_way_back(capsys: pytest.CaptureFixture[str]) -> None:
    show_move(_moved())
    text = capsys.readouterr().out
    lines = [line.strip() for line in text.splitlines()]
    assert f"Moved prod-postgres to {RECOVERED_HOST} in 12.3 s" in " ".join(lines)
    assert "smoke test: 200 {}" in lines
    assert "postgres-prod keeps its data and takes no more writes" in lines
    assert "The way back: python -m dr rollback --env prod" in lines
    assert f"Journal: {_moved().journal}" in lines


def test_a_way_back_that_was_taken_offers_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    show_move(_moved(back=True, smoke=""))
    text = capsys.readouterr().out
    assert SOURCE_HOST in text
    assert "rollback" not in text
    assert "smoke test" not in text
    assert "takes no more writes" not in text


def test_what_an_application_answered_is_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show_move(_moved(smoke="200 [red]fine[/red]"))
    assert "200 [red]fine[/red]" in capsys.readouterr().out


def _status(**changes: Any) -> Status:
    record = a_record(a_recovered()).with_verified("postgres-prod-recovered", 7)
    plain = Status(
        environment=an_environment(),
        clusters=(replace(a_source(), archiving=Archiving(working=False)), as_seen(a_recovered(), healthy=False)),
        external_name=SOURCE_HOST,
        workloads={"api": a_workload("api", 3), "worker": None},
        record=record.with_fenced("postgres-prod-recovered", fenced=True),
        lease=None,
        holder_dead=False,
    )
    return replace(plain, **changes)


def _shown(status: Status, capsys: pytest.CaptureFixture[str]) -> list[str]:
    show_status(status)
    return [" ".join(line.strip("│ ").split()) for line in capsys.readouterr().out.splitlines()]


def test_each_cluster_is_told_in_a_line_with_what_matters_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(_shown(_status(), capsys))
    assert "✔ postgres-prod Cluster in healthy state; serves the traffic; archiving fails" in text
    assert "✘ postgres-prod-recovered Setting up primary; fenced; recovered to" in text
    assert text.index("recovered to") < text.index("verified")
    assert "api 3, worker missing" in text


def test_an_operation_is_told_with_its_steps_and_why_it_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    cause = f"postgres-prod-1 still serves {'x' * 100}"
    entry = an_entry().step_started("remember", NOW).step_done(f"{SOURCE_HOST} before", NOW)
    entry = entry.step_started("fence", NOW).over(Outcome.FAILED, NOW, cause)
    lines = _shown(_status(record=a_record().with_operation(entry)), capsys)
    assert "Last: switchover by ann@ops-1, 2026-04-27 12:00:00 UTC, failed" in lines
    assert f"done remember {SOURCE_HOST} before" in lines
    assert "started fence" in lines
    assert cause in lines
    assert lines[lines.index("Next") + 1].startswith("python -m dr resume --env prod # to continue the switchover")


def test_who_is_at_work_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert "In progress bob@ops-2:8" in _shown(_status(lease=a_lease()), capsys)
    assert not any("In progress" in line for line in _shown(_status(lease=a_lease(), holder_dead=True), capsys))


def test_before_a_first_operation_only_the_next_command_follows(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _shown(_status(record=None, clusters=(a_source(),)), capsys)
    assert not any(line.startswith("Last:") for line in lines)
    assert lines[lines.index("Next") + 1].startswith("python -m dr pitr --env prod")


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
    plan = Recovery(a_decision()).plan
    with reporter_for(plan, quiet=False) as reporter:
        reporter.step_started(plan.steps[0])
        for elapsed in (1.0, 1.5, 2.0):
            reporter.recovery(RecoveryProgress(), elapsed=elapsed, limit=1200)
        reporter.step_done(plan.steps[0], "api 3", 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"[1/{len(plan.steps)}] Save state")
    assert "creating the cluster" in lines[1]
    assert lines[2].endswith("api 3")


def test_with_json_nothing_is_said_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    plan = Recovery(a_decision()).plan
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
        assert stop.wait(HANG_SECONDS)


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


def test_a_service_that_is_missing_is_shown_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Service prod-postgres -> missing" in _shown(_status(external_name=None), capsys)
