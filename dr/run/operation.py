"""What all operations have in common: the lease, the engine that is never left behind, the journal, the steps."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from dr.config.environment import Environment
from dr.core.errors import DrError
from dr.core.plan import Plan, Step
from dr.engine.recovery_stack import RecoveryStack
from dr.reports.summary import RunSummary
from dr.run.journal import Journal, unchanged
from dr.run.lease import held
from dr.run.record import Record
from dr.run.report_keeping import ReportData, save_report
from dr.run.runner import Reporter, after_steps, run_steps
from dr.run.session import Session


@dataclass(frozen=True, kw_only=True)
class OperationContext:
    """What an operation works with."""

    session: Session
    stack: RecoveryStack
    journal: Journal
    reporter: Reporter
    report_data: ReportData = field(default_factory=ReportData)


class Report(Protocol):
    """What comes of an operation."""

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""


R = TypeVar("R", bound=Report)


class Decision(Protocol):
    """What every operation has decided, besides what its own steps need; ``facts`` and ``warnings`` are the plan's."""

    @property
    def environment(self) -> Environment:
        """Where."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What the operator should recognise."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before agreeing."""


class Operation(ABC):
    """One operation that was decided: its plan, what its steps share, and how it is run. ``session`` is there from
    when it runs.
    """

    session: Session

    def __init__(self, name: str, decision: Decision) -> None:
        self.environment = decision.environment
        self.plan = Plan(
            operation=name,
            environment=self.environment.name,
            facts=decision.facts,
            warnings=decision.warnings,
            steps=tuple(self.steps()),
        )

    @abstractmethod
    def steps(self) -> Iterator[Step]:
        """What it will do, in order."""


def run_operation(
    context: OperationContext,
    plan: Plan,
    *,
    go_on: str,
    report: Callable[[RunSummary], R],
    at_end: Callable[[Record], Record] = unchanged,
) -> R:
    """Do all steps of an agreed plan; ``go_on`` is the command to continue.

    ``report`` makes of its course what is written down and returned. ``at_end`` changes the record in the write that
    says that it is done: killed in between, it would be resumed with a record that has ended. Raises RefusedError when
    another operator is at work, and whatever stopped a step, with its ``stopped``.
    """
    session = context.session
    started, begin = session.clock(), time.monotonic()
    with held(
        session.lease,
        session.holder,
        take_over=session.take_over,
        clock=session.clock,
        stop=session.stop,
    ):
        try:
            context.stack.backend.clear_locks(take_over=session.take_over)
            context.stack.prepare()
            context.journal.begin(plan, go_on, session.clock())
            results = run_steps(
                plan.steps,
                reporter=context.reporter,
                journal=context.journal,
                clock=session.clock,
                stop=session.stop,
                go_on=go_on,
            )
        except DrError as error:
            save_report(session.environment, plan, context.journal, context.report_data, error=error)
            if error.stopped and context.report_data.kept_at:
                error.stopped = replace(error.stopped, report=str(context.report_data.kept_at))
            raise
        finally:
            context.stack.interrupt()
        # The end is written down while nobody else can have begun.
        with after_steps(plan.steps, context.journal, go_on):
            made = report(
                RunSummary(
                    environment=session.environment,
                    started=started,
                    seconds=time.monotonic() - begin,
                    steps=results,
                    journal=str(context.journal.path),
                )
            )
            context.journal.done(made.as_json(), session.clock(), at_end=at_end)
            save_report(session.environment, plan, context.journal, context.report_data, result=made.as_json())
            return made
