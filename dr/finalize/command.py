"""``dr finalize``: make the recovered Cluster the canonical one, and delete the old."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dr.cli.operate import OperationSpec, PlannedOperation, operate, operation_options
from dr.cli.options import options

if TYPE_CHECKING:
    from dr.config.environment import Environment
    from dr.run.session import Session


@options("finalize")
@click.option(
    "--checkout",
    type=click.Path(exists=True, file_okay=False),
    help="A checkout of the repository that declares the Cluster.",
)
@click.option("--branch", default="", help="The branch to write.  [default: postgres-dr/<env>-<cluster>]")
@click.option("--push", is_flag=True, help="Push the branch to where the checkout came from.")
@operation_options
def command(checkout: str | None, branch: str, push: bool, **common: Any) -> None:
    """Make the recovered Cluster the canonical one, and delete the old one.

    The Git manifests are rewritten on a branch of the checkout. Where Argo CD manages them, the first run ends here:
    have the branch merged, and give the same command again. Then, once the recovered Cluster is proven (it serves,
    archives, and has a base backup of its own), its scheduled backups are made, the old Cluster is deleted with its
    volumes, and Argo CD manages everything again. The bucket's content is kept. You must type the old Cluster's name.
    """

    def ask(environment: "Environment") -> OperationSpec:
        from dr.finalize.preconditions import OPERATION, FinalizeRequest
        from dr.finalize.run import Finalize, decide
        from dr.finalize.view import show_finalize

        folder = str(Path(checkout).resolve()) if checkout else ""
        request = FinalizeRequest(checkout=folder, branch=branch, push=push)

        def look(session: "Session") -> PlannedOperation:
            decision = decide(session, request)
            operation = Finalize(decision)
            goes = ", ".join(cluster.name for cluster in decision.deleted) or "nothing"
            consequence = f"deletes {goes} of {environment.name}, for good"
            return PlannedOperation(
                plan=operation.plan,
                name=decision.to_type,
                consequence="writes a branch, and deletes nothing yet" if decision.proposal else consequence,
                by_name=not decision.proposal,
                run=operation.run,
                show=show_finalize,
            )

        return OperationSpec(operation=OPERATION, decide=look)

    operate(ask, **common)
