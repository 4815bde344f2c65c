"""What ``switchover`` and ``rollback`` have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dr.cli.operate import Agreed, Asked, operate, operation_options

if TYPE_CHECKING:
    from dr.config.environment import Environment
    from dr.run.operation import Report
    from dr.run.session import Session


def move_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that moves the traffic."""
    option = click.option("--hibernate-old", is_flag=True, help="Take the pods of the Cluster that is left away, too.")
    return operation_options(option(function))


def move(*, back: bool, recovered_name: str | None, hibernate_old: bool, **common: Any) -> "Report | None":
    """Move the traffic forward, or back. Raises a DrError."""

    def ask(environment: "Environment") -> Asked:
        from dr.switchover.plan import MoveRequest
        from dr.switchover.run import Move, decide
        from dr.switchover.view import show_move

        request = MoveRequest(back=back, to=recovered_name or "", hibernate=hibernate_old)

        def look(session: "Session") -> Agreed:
            decision = decide(session, request)
            return Agreed(
                plan=decision.plan,
                name=decision.reached.name,
                consequence=f"stops the writers of {environment.name}",
                run=lambda tools: Move(tools, decision).run(),
                show=show_move,
            )

        return Asked(operation=request.operation, decide=look)

    return operate(ask, **common)
