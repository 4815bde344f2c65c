"""``dr switchover`` and ``dr rollback``: move the traffic to a recovered Cluster, or back to where it came from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dr.cli.operate import OperationSpec, PlannedOperation, operate, operation_options
from dr.cli.options import options

if TYPE_CHECKING:
    from dr.config.environment import Environment
    from dr.run.operation import Report
    from dr.run.session import Session


def move_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that moves the traffic."""
    option = click.option(
        "--hibernate-old", is_flag=True, help="Also hibernate the old Cluster (delete its pods, keep its volumes)."
    )
    return operation_options(option(function))


def move(*, back: bool, recovered_name: str | None, hibernate_old: bool, **common: Any) -> "Report | None":
    """Move the traffic forward, or back. Raises a DrError."""

    def ask(environment: "Environment") -> OperationSpec:
        from dr.switchover.plan import MoveRequest
        from dr.switchover.run import Move, decide
        from dr.switchover.view import show_move

        request = MoveRequest(back=back, to=recovered_name or "", hibernate=hibernate_old)

        def look(session: "Session") -> PlannedOperation:
            decision = decide(session, request)
            operation = Move(decision)
            return PlannedOperation(
                plan=operation.plan,
                name=decision.new_cluster.name,
                consequence=f"stops the writers of {environment.name}",
                run=operation.run,
                show=show_move,
            )

        return OperationSpec(operation=request.operation, decide=look)

    return operate(ask, **common)


@options("switchover")
@click.option("--recovered-name", help="The Cluster to move to.  [default: the newest that was recovered]")
@move_options
def switchover(**given: Any) -> None:
    """Move the traffic to a recovered Cluster.

    The old Cluster is kept from writing, the Service is declared to point to the recovered one, and the workloads are
    started with the counts they had. It is seen from inside the cluster that the name has moved and that the workloads'
    password is accepted, and the smoke test is asked. The way back is `rollback`.
    """
    move(back=False, **given)


@options("rollback")
@move_options
def rollback(**given: Any) -> None:
    """Move the traffic back to the Cluster it came from, and start the workloads.

    After a switchover the recovered Cluster is kept from writing: what was written to it stays there and does not come
    along. Before one, the workloads are simply started again. The recovered Cluster is left as it is.
    """
    move(back=True, recovered_name=None, **given)
