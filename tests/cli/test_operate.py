"""What every command that changes something goes through, with the look and the doing at doubles."""

import io
import sys
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from dr.cli.operate import OperationSpec, PlannedOperation, operate
from dr.core.errors import DeclinedError, Stopped, VerificationError
from dr.core.plan import Plan, StepTaken
from dr.run.operation import OperationContext, Report
from tests.support.builders import an_environment

STOPPED = Stopped(at=StepTaken(key="fence", title="Keep it still"), done=(), go_on="again", journal="j", unwritten="")


class _Terminal(io.StringIO):
    """A terminal at which someone has typed."""

    def isatty(self) -> bool:
        return True


class _Done:
    def as_json(self) -> Mapping[str, Any]:
        return {}


class _Bench:
    """An operation that stops with ``code`` the first time; how often it was looked at, and done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        self.code, self.looks, self.runs = code, 0, 0
        session = SimpleNamespace(stop=None)
        monkeypatch.setattr("dr.cli.signals.interrupt_on_sigterm", bool)
        monkeypatch.setattr("dr.cli.signals.stopping", lambda _: io.StringIO())
        monkeypatch.setattr("dr.config.load.load_environment", lambda *_: an_environment(confirmation="name"))
        monkeypatch.setattr(
            "dr.cli.wiring.open_operation",
            lambda *_, **__: SimpleNamespace(
                session=session, stack=None, journal=SimpleNamespace(unwritten=""), decided=self._look()
            ),
        )

    def _look(self) -> PlannedOperation:
        self.looks += 1
        plan = Plan(operation="rollback", environment="prod", facts={"Left behind": f"look {self.looks}"}, steps=())
        return PlannedOperation(
            plan=plan, name="postgres-prod", consequence="stops the writers", run=self._run, show=lambda _: None
        )

    def _run(self, _: OperationContext) -> Report:
        self.runs += 1
        if self.runs == 1:
            error = VerificationError(self.code, "more would stay", "go on, or back")
            error.stopped = STOPPED
            raise error
        return _Done()

    def operate(self, *, yes: bool = False, as_json: bool = False) -> Report | None:
        return operate(
            lambda _: OperationSpec(operation="rollback", decide=lambda _: self._look()),
            environment="prod",
            config_dir=None,
            context=None,
            as_json=as_json,
            dry_run=False,
            yes=yes,
            confirmed="postgres-prod" if yes else None,
            take_over=False,
        )


def test_what_has_grown_is_asked_for_at_a_terminal_with_the_plan_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """E8."""
    bench = _Bench(monkeypatch, "more-left-behind")
    monkeypatch.setattr(sys, "stdin", _Terminal("postgres-prod\npostgres-prod\n"))
    assert bench.operate() is not None
    assert (bench.looks, bench.runs) == (2, 2)
    assert "look 2" in capsys.readouterr().out


def test_who_does_not_agree_to_what_has_grown_is_told_where_things_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = _Bench(monkeypatch, "more-left-behind")
    monkeypatch.setattr(sys, "stdin", _Terminal("postgres-prod\nno\n"))
    with pytest.raises(DeclinedError) as declined:
        bench.operate()
    assert declined.value.stopped == STOPPED
    assert bench.runs == 1


@pytest.mark.parametrize(
    ("code", "yes", "terminal"),
    [("more-left-behind", True, True), ("more-left-behind", True, False), ("login-failed", False, True)],
)
def test_all_else_stops_there(monkeypatch: pytest.MonkeyPatch, code: str, yes: bool, terminal: bool) -> None:
    """An agreement that was given in advance is none to a number that nobody had seen."""
    bench = _Bench(monkeypatch, code)
    monkeypatch.setattr(sys, "stdin", _Terminal("postgres-prod\npostgres-prod\n") if terminal else io.StringIO())
    with pytest.raises(VerificationError):
        bench.operate(yes=yes)
    assert (bench.looks, bench.runs) == (1, 1)
