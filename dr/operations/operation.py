"""What all operations have in common: the lease, the engine that is never left behind, the journal, the steps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dr.engine.recovery_stack import RecoveryStack
from dr.model.plan import Plan
from dr.operations.journal import Journal
from dr.operations.lease import held
from dr.operations.reporting import Reporter
from dr.operations.runner import Action, StepResult, run_actions
from dr.operations.session import Session


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What an operation works with."""

    session: Session
    stack: RecoveryStack
    journal: Journal
    reporter: Reporter


def run_operation(tools: Tools, plan: Plan, doing: Mapping[str, Callable[[], str]], *, go_on: str) -> list[StepResult]:
    """Do all steps of an agreed plan; ``doing`` has how, by the steps' keys, and ``go_on`` is the command to continue.

    Raises RefusedError when another operator is at work, and whatever stopped a step, with its ``stopped``.
    """
    session = tools.session
    tools.stack.backend.clear_locks(take_over=session.take_over)
    with held(
        session.lease,
        session.holder,
        take_over=session.take_over,
        clock=session.clock,
        stop=session.stop,
    ):
        tools.stack.prepare()
        tools.journal.begin(plan, go_on, session.clock())
        try:
            return run_actions(
                [Action(step=step, do=doing[step.key]) for step in plan.steps],
                reporter=tools.reporter,
                journal=tools.journal,
                clock=session.clock,
                stop=session.stop,
                go_on=go_on,
            )
        finally:
            tools.stack.interrupt()
