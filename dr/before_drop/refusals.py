"""Why the moment of a drop cannot be told, and what can be done instead."""

import shlex
from collections.abc import Collection, Sequence

from dr.archive.wal_lines import Commit
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import lsn
from dr.postgres.table_argument import TableName

_SHOWN = 8


def source_silent(environment: str, source: str, why: str) -> Problem:
    """The only ones who know do not answer."""
    return Problem(
        code="drop-source-silent",
        cause=f"only the catalog and the WAL of {source} tell when a table was dropped, and it does not answer: {why}",
        remedy=_time(environment),
    )


def table_exists(environment: str, table: TableName) -> Problem:
    """It was not dropped: emptied, perhaps."""
    return Problem(
        code="table-exists",
        cause=f"there is a table {table}, and nothing tells of an earlier one of that name that was dropped",
        remedy=f"--before-drop is about dropped tables; after a TRUNCATE, DELETE or UPDATE {_time(environment)}",
    )


def table_renamed(table: TableName, names: Collection[str]) -> Problem:
    """It is there under another name."""
    now = " and ".join(sorted(names))
    return Problem(
        code="table-renamed",
        cause=f"{table} was not dropped: it is called {now} now",
        remedy="rename it back, with ALTER TABLE or ALTER SCHEMA; its data is in place",
    )


def drop_unknown(environment: str, table: TableName, since: str, found: Sequence[Commit], why: str = "") -> Problem:
    """Neither the catalog nor the WAL has its name any more. ``since`` is the first WAL segment that was read, ``why``
    no older one was, empty where that was enough.
    """
    gone = f"the catalog of the database has no trace of {table} left (is the name right? a vacuum takes it away)"
    if not found:
        return Problem(
            code="drop-unknown",
            cause=f"{gone}, and no table was dropped in all WAL that was read, from {since} on"
            + (f"; {why}" if why else ""),
            remedy=_time(environment),
        )
    one = len(found) == 1
    expect = f"--exclusive --expect-table {shlex.quote(str(table))}"
    commands = "".join(
        f"\n      python -m dr pitr --env {environment} --target-lsn {lsn(commit.lsn)} {expect}"
        f"   # transaction {commit.xid}, {RecoveryTarget(commit.time)}"
        for commit in found[:_SHOWN]
    )
    more = f"\n      and {len(found) - _SHOWN} earlier ones" if len(found) > _SHOWN else ""
    return Problem(
        code="drop-uncertain",
        cause=f"{gone}; the WAL from {since} on has "
        + ("one transaction that dropped" if one else f"{len(found)} transactions that dropped or rewrote")
        + " tables, without their names",
        remedy=(
            "it is likely, but not certain, that this is the one" if one else "if you know which, go back to before it"
        )
        + f"; verification will tell whether the table is back:{commands}{more}",
    )


def drop_too_old(environment: str, table: TableName, xid: int, since: str, why: str) -> Problem:
    """Who dropped it is known, but not when. ``since`` is the oldest segment that was read, ``why`` no other was."""
    return Problem(
        code="drop-too-old",
        cause=f"{table} was dropped by transaction {xid}, whose commit is older than all WAL that was read, from "
        f"{since} on; {why}",
        remedy=f"with a base backup from before it: python -m dr pitr --env {environment} --target-xid {xid} "
        "--exclusive --backup-id ID (python -m dr window lists them)",
    )


def _time(environment: str) -> str:
    return (
        f"give a time: python -m dr pitr --env {environment} --target-time ...; python -m dr window shows from when "
        "until when"
    )
