"""``dr pitr`` and ``dr latest``: recover to a point in time, or all that was committed, into a new Cluster."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dr.cli.operate import OperationSpec, PlannedOperation, operate, operation_options
from dr.cli.options import options
from dr.core.errors import DrError
from dr.switchover.command import move

if TYPE_CHECKING:
    from dr.config.environment import Environment
    from dr.core.errors import Stopped
    from dr.core.target_options import TargetOptions
    from dr.run.session import Session


def recovery_options(function: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of every command that recovers."""
    for option in (
        click.option(
            "--switchover", is_flag=True, help="Move the traffic there afterwards: it is planned and asked for in turn."
        ),
        click.option(
            "--continue", "go_on", is_flag=True, help="Continue with a recovered Cluster that exists already."
        ),
        click.option(
            "--recovered-name",
            help="The recovered Cluster's name.  [default: recoveredCluster; with a number after a switchover]",
        ),
        click.option(
            "--source-manifest",
            type=click.Path(exists=True, dir_okay=False),
            help="The source's manifest, from Git, where the Cluster is gone.  [default: the copy next to its backups]",
        ),
        click.option(
            "--snapshot",
            default="auto",
            metavar="WHICH",
            help="Begin from volume snapshots: auto, never, newest, or the name of a Backup.  [default: auto, what "
            "leaves less to fetch]",
        ),
        click.option("--source", help="The Cluster to recover from.  [default: the one that serves the traffic]"),
    ):
        function = option(function)
    return operation_options(function)


def recover(
    *,
    asked: "TargetOptions | None",
    source: str | None,
    recovered_name: str | None,
    go_on: bool,
    skip_seal: bool,
    switchover: bool,
    snapshot: str,
    source_manifest: str | None,
    expect_table: str | None = None,
    before_drop: str | None = None,
    **common: Any,
) -> None:
    """Recover to the target that is ``asked`` for, to just before a table was dropped, or to the end of the WAL without
    either. Raises a DrError.
    """

    def ask(environment: "Environment") -> OperationSpec:
        from dr.config.names import check_cluster_name
        from dr.postgres.table_name import TableName
        from dr.recovery.run import Recovery, RecoveryOptions, decide
        from dr.recovery.view import show_report
        from dr.run.session import utc_now

        if recovered_name:
            check_cluster_name(recovered_name)
        target = None
        if asked is not None:
            target = asked.target(now=utc_now(), snapshot=snapshot, commands=environment.commands)
        wanted = RecoveryOptions(
            target=target,
            source=source,
            recovered_name=recovered_name,
            go_on=go_on,
            seal=not skip_seal,
            switchover=switchover,
            snapshot=snapshot,
            source_manifest=str(Path(source_manifest).resolve()) if source_manifest else None,
            expects=TableName.parse(expect_table, option="--expect-table") if expect_table is not None else None,
            before_drop=TableName.parse(before_drop, option="--before-drop") if before_drop is not None else None,
        )

        def look(session: "Session") -> PlannedOperation:
            decision = decide(session, wanted)
            operation = Recovery(decision)
            return PlannedOperation(
                plan=operation.plan,
                name=decision.cluster.name,
                consequence=f"stops the writers of {environment.name}",
                run=operation.run,
                show=show_report,
            )

        return OperationSpec(operation="latest" if asked is None and before_drop is None else "pitr", decide=look)

    recovered = operate(ask, **common, last=not switchover)
    if switchover and recovered is not None:
        told = dict(recovered.as_json())
        try:
            moved = move(back=False, recovered_name=told["cluster"], hibernate_old=False, **common, last=False)
        except DrError as error:
            error.stopped = error.stopped or _recovered_only(told)
            raise
        if common["as_json"] and moved is not None:
            click.echo(json.dumps({**told, "switchover": moved.as_json()}, indent=2))


def _recovered_only(told: dict[str, Any]) -> "Stopped":
    """Where things stand when the recovery is done and the switchover was not begun."""
    from dr.core.errors import Stopped
    from dr.core.plan import StepTaken

    return Stopped(
        at=StepTaken(key="switchover", title="Move the traffic"),
        done=(StepTaken(key="recovery", title=f"Recover into {told['cluster']}"),),
        go_on=told["next"][0],
        journal=told["journal"],
    )


@options("pitr")
@click.option("--target-time", help="The moment to go back to, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--target-lsn", help="Instead: a position in the WAL, as in 0/3000028.")
@click.option("--target-xid", help="Instead: a transaction's ID; with --backup-id.")
@click.option("--target-name", help="Instead: a restore point's name; with --backup-id.")
@click.option("--target-immediate", is_flag=True, help="Instead: the end of a base backup; with --backup-id.")
@click.option("--before-drop", metavar="TABLE", help="Instead: just before this table was dropped; dr finds out when.")
@click.option("--latest", "to_latest", is_flag=True, help="Instead: the end of the WAL, as the command latest.")
@click.option("--backup-id", help="The base backup to begin from.  [default: the newest before the target]")
@click.option("--timeline", help="The timeline to follow: its number.  [default: latest]")
@click.option(
    "--exclusive", is_flag=True, help="Without the transaction at the target itself, which is kept otherwise."
)
@click.option("--expect-table", metavar="TABLE", help="Fail verification if this table is missing.")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: the target is already archived.")
@recovery_options
def pitr(
    target_time: str | None,
    target_lsn: str | None,
    target_xid: str | None,
    target_name: str | None,
    target_immediate: bool,
    backup_id: str | None,
    timeline: str | None,
    exclusive: bool,
    before_drop: str | None,
    to_latest: bool,
    **given: Any,
) -> None:
    """Recover the database to a point in time, into a new Cluster.

    The writers are stopped, the source's WAL is sealed, and a new Cluster is recovered from the base backup and the WAL
    up to the target. The source is left as it is, and traffic is not moved: the commands for that are printed.
    """
    from dr.core.target_options import TargetOptions

    asked = TargetOptions(
        target_time=target_time,
        target_lsn=target_lsn,
        target_xid=target_xid,
        target_name=target_name,
        target_immediate=target_immediate,
        backup_id=backup_id,
        timeline=timeline,
        exclusive=exclusive,
    )
    if to_latest:
        asked.check_alone("--latest")
        if before_drop is not None:
            raise click.UsageError("give either --latest or --before-drop")
        recover(asked=None, **given)
    elif before_drop is not None:
        asked.check_alone("--before-drop")
        recover(asked=None, before_drop=before_drop, **given)
    else:
        recover(asked=asked, **given)


@options("latest")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: it is lost then.")
@recovery_options
def latest(**given: Any) -> None:
    """Recover the database to the end of its WAL, into a new Cluster.

    The writers are stopped first and the source's newest WAL is archived, so that while the source is alive no
    committed transaction is missing. The source is left as it is, and traffic is not moved: the commands for that are
    printed.
    """
    recover(asked=None, **given)
