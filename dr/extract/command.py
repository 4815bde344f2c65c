"""``dr extract``: bring one table back into the live database, as it was at a moment."""

from typing import TYPE_CHECKING, Any

import click

from dr.cli.operate import OperationSpec, PlannedOperation, operate, operation_options
from dr.cli.options import options

if TYPE_CHECKING:
    from dr.config.environment import Environment
    from dr.run.session import Session


@options("extract")
@click.option("--table", required=True, help="The table: public.users, or users for one in public.")
@click.option("--target-time", help="The moment to take it from, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--before-drop", is_flag=True, help="Instead: just before it was dropped; dr finds out when.")
@click.option(
    "--swap", is_flag=True, help="Put it in place under its own name; a present one is kept under another name."
)
@click.option("--source", help="The Cluster to recover from.  [default: the one that serves the traffic]")
@click.option(
    "--source-manifest",
    type=click.Path(exists=True, dir_okay=False),
    help="The manifest of a source that is gone, from Git or a dump.  [default: its copy next to its backups]",
)
@click.option("--keep-scratch", is_flag=True, help="Leave the scratch Cluster, to look around in it.")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: the target is already archived.")
@operation_options
def command(
    table: str,
    target_time: str | None,
    before_drop: bool,
    swap: bool,
    source: str | None,
    source_manifest: str | None,
    keep_scratch: bool,
    skip_seal: bool,
    **common: Any,
) -> None:
    """Bring one table back into the live database, as it was at a moment.

    The database is recovered into a scratch Cluster that takes no traffic and archives nothing. The table is loaded
    from there as TABLE_recovered_TIME, or with --swap under its own name, and the scratch Cluster is deleted. What was
    written to other tables since stays, and no writer is stopped.
    """
    if (target_time is None) != before_drop:
        raise click.UsageError("give --target-time, or --before-drop, and only one of them")

    def ask(environment: "Environment") -> OperationSpec:
        from dr.core.target import TimeTarget
        from dr.extract.observe import request_for
        from dr.extract.preconditions import OPERATION
        from dr.extract.run import Extract, decide
        from dr.extract.view import show_extraction
        from dr.postgres.table_name import TableName
        from dr.run.session import utc_now

        name = TableName.parse(table)
        target = TimeTarget.parse(target_time, now=utc_now()) if target_time is not None else None

        def look(session: "Session") -> PlannedOperation:
            request = request_for(
                session,
                table=name,
                target=target,
                source=source,
                source_manifest=source_manifest,
                swap=swap,
                keep_scratch=keep_scratch,
                seal=not skip_seal,
            )
            decision = decide(session, request)
            operation = Extract(decision)
            adds = f"puts {request.final} of {request.target} into {decision.live.name} of {environment.name}"
            return PlannedOperation(
                plan=operation.plan,
                name=decision.live.name,
                consequence=adds,
                run=operation.run,
                show=show_extraction,
            )

        return OperationSpec(operation=OPERATION, decide=look)

    operate(ask, **common)
