"""``dr pitr``: recover to a point in time, beside the broken cluster."""

from typing import Any

import click

from dr.cli.options import options
from dr.recovery.command import recover, recovery_options


@options("pitr")
@click.option("--target-time", help="The moment to go back to, with its zone: 2026-04-27T09:55:00Z.")
@click.option("--target-lsn", help="Instead: a position in the WAL, as in 0/3000028.")
@click.option("--target-xid", help="Instead: a transaction's ID; with --backup-id.")
@click.option("--target-name", help="Instead: a restore point's name; with --backup-id.")
@click.option("--target-immediate", is_flag=True, help="Instead: the end of a base backup; with --backup-id.")
@click.option("--before-drop", metavar="TABLE", help="Instead: just before this table was dropped; dr finds out when.")
@click.option("--backup-id", help="The base backup to begin from.  [default: the newest before the target]")
@click.option("--timeline", help="The timeline to follow: its number.  [default: latest]")
@click.option(
    "--exclusive", is_flag=True, help="Without the transaction at the target itself, which is kept otherwise."
)
@click.option("--expect-table", metavar="TABLE", help="Verification is to see that this table is there.")
@click.option("--skip-seal", is_flag=True, help="Do not archive the newest WAL first: the target is surely archived.")
@recovery_options
def command(
    target_time: str | None,
    target_lsn: str | None,
    target_xid: str | None,
    target_name: str | None,
    target_immediate: bool,
    backup_id: str | None,
    timeline: str | None,
    exclusive: bool,
    before_drop: str | None,
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
    if before_drop is not None:
        asked.check_alone("--before-drop")
        recover(asked=None, before_drop=before_drop, **given)
    else:
        recover(asked=asked, **given)
