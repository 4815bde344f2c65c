"""When a table disappeared: from what the catalog's file and the WAL still tell, to one commit, or why not. Pure.

A dropped table's row of ``pg_class`` is still in the catalog's file, with the transaction that deleted it, until it is
vacuumed. Where the file is older than the deletion, or has lost it, the row is followed through the WAL: its position
is known, and every record that moved or deleted it names that position.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.archive.wal_lines import Commit, WalView
from dr.before_drop.heap_page import CatalogRow
from dr.core.commands import CommandLines
from dr.core.errors import Problem
from dr.core.target import LaterCommits, LsnTarget, TimeTarget
from dr.core.text import exact_moment_of
from dr.core.wal_names import lsn
from dr.postgres.table_name import TableName


@dataclass(frozen=True, kw_only=True)
class CatalogView:
    """The catalog: rows of the wanted name, live or not, as pages showed them, and what SQL shows now.

    ``schemas`` are the OIDs that the schema's name has or had; ``exists`` is whether there is such a table now.
    """

    rows: tuple[CatalogRow, ...]
    schemas: frozenset[int]
    exists: bool


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The end of one table: its OID, the transaction that deleted it, and its commit, None where it is not in the WAL
    that was read.
    """

    oid: int
    xid: int
    commit: Commit | None


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A table's disappearance. ``kept`` is the last commit before it, None where it is not in the WAL that was read;
    ``left_out`` counts the drop and what was committed after it; ``earlier`` are the times of earlier drops of the same
    name, ``again`` whether there is a table of that name now; ``called`` is what the dropped one was called by then,
    None where that is not known; ``from_archive`` counts the segments that were read in the archive for it.
    """

    table: str
    xid: int
    time: datetime
    lsn: int
    left_out: LaterCommits
    called: TableName | None
    kept: Commit | None = None
    earlier: tuple[datetime, ...] = ()
    again: bool = False
    from_archive: int = 0

    @property
    def target(self) -> LsnTarget:
        """All that was committed before the drop, and nothing of it: recovery stops before the commit's record."""
        return LsnTarget(self.lsn, exclusive=True)

    @property
    def moment(self) -> TimeTarget:
        """The same as a time, for this table alone: whatever changed it was committed earlier, as the drop waited for
        it. Other tables may lack what was committed in the very microsecond.
        """
        return TimeTarget(self.time - timedelta(microseconds=1))

    @property
    def facts(self) -> Mapping[str, str]:
        """For a plan."""
        said = [f"{self.table}, by transaction {self.xid}, committed at {exact_moment_of(self.time)}"]
        if self.earlier:
            times = ", ".join(exact_moment_of(time) for time in self.earlier)
            said.append(f"an earlier one of that name at {times}")
        if self.called is None:
            said.append("whether it was renamed before that is not known")
        elif str(self.called) != self.table:
            said.append(f"by then it was called {self.called}, which is what comes back")
        if self.again:
            said.append("there is a table of that name now")
        if self.from_archive:
            plural = "" if self.from_archive == 1 else "s"
            said.append(f"found by reading {self.from_archive:,} segment{plural} of the archived WAL")
        last = f"transaction {self.kept.xid}, committed at {exact_moment_of(self.kept.time)}" if self.kept else ""
        return {"Dropped": "; ".join(said), **({"Last kept": last} if last else {})}


def endings(catalog: CatalogView, wal: WalView, known: Mapping[int, bool]) -> tuple[Ending, ...]:
    """Every end of a table of that name that can be found, in the order of their commits; those whose commit is
    not in the WAL come first. ``known`` says of transactions whether they committed, where the WAL does not.
    """
    found: dict[tuple[int, int], Ending] = {}
    for row in catalog.rows:
        if row.namespace in catalog.schemas and (ending := _follow(row, wal, known)):
            found[ending.oid, ending.commit.xid if ending.commit else ending.xid] = ending
    return tuple(sorted(found.values(), key=lambda ending: ending.commit.lsn if ending.commit else 0))


def _follow(start: CatalogRow, wal: WalView, known: Mapping[int, bool]) -> Ending | None:
    """The end of the table that ``start`` is a version of the row of."""
    row = start.row
    place, since = row.place, row.page_lsn
    if row.ended_by:
        commit = wal.commit_of(row.ended_by)
        if commit or (row.ended if row.ended is not None else known.get(row.ended_by, False)):
            if row.next_place == place:
                return Ending(oid=start.oid, xid=row.ended_by, commit=commit)
            # What became of the next version may be in the same page already, under another name.
            replaced = (change.lsn for change in wal.changes if change.at == place and change.xid == row.ended_by)
            place, since = row.next_place, max(replaced, default=0)
    for change in wal.changes:
        commit = wal.commit_of(change.xid)
        if change.lsn < since or change.at != place or commit is None:
            continue
        if change.to is None:
            return Ending(oid=start.oid, xid=change.xid, commit=commit)
        place = change.to
    return None


def doubtful(catalog: CatalogView, wal: WalView) -> frozenset[int]:
    """The transactions that ended rows of the wanted name, of which neither the pages nor the WAL say whether they
    committed.
    """
    return frozenset(
        row.row.ended_by
        for row in catalog.rows
        if row.row.ended_by and row.row.ended is None and wal.commit_of(row.row.ended_by) is None
    )


def as_drop(
    table: str,
    commit: Commit,
    wal: WalView,
    *,
    kept: Commit | None,
    called: TableName | None,
    earlier: Iterable[datetime] = (),
    again: bool = False,
    from_archive: int = 0,
) -> Drop:
    """The drop of ``table`` by ``commit``."""
    return Drop(
        table=table,
        xid=commit.xid,
        time=commit.time,
        lsn=commit.lsn,
        kept=kept,
        called=called,
        left_out=LaterCommits(count=wal.total - commit.number + 1, last=wal.last or commit.time, complete=True),
        earlier=tuple(earlier),
        again=again,
        from_archive=from_archive,
    )


def candidates(wal: WalView, database: int) -> tuple[Commit, ...]:
    """The commits that deleted tables of ``database``, newest first: each deleted files and rows of ``pg_class``. A
    TRUNCATE deletes files alone; a rewrite of a table (CLUSTER, some ALTER TABLE) cannot be distinguished from a drop,
    but that of a catalog can.
    """
    deleting = {change.xid for change in wal.changes if change.to is None}
    found = [
        commit
        for commit in wal.commits
        if deleting & {commit.xid, *commit.subtransactions}
        and (files := _files(commit, database))
        and min(files) >= _FIRST_NORMAL_OBJECT_ID
    ]
    return tuple(sorted(found, key=lambda commit: -commit.lsn))


_FIRST_NORMAL_OBJECT_ID = 16384
"""No catalog's first file has so high a number, and no file of a table a lower one (``transam.h``)."""


def catalog_rewritten(wal: WalView, database: int) -> Commit | None:
    """The last commit that rewrote a catalog of ``database`` for the first time (VACUUM FULL): what was dropped before
    it has left no trace in what is read.
    """
    found = [
        commit
        for commit in wal.commits
        if min(_files(commit, database), default=_FIRST_NORMAL_OBJECT_ID) < _FIRST_NORMAL_OBJECT_ID
    ]
    return max(found, key=lambda commit: commit.lsn, default=None)


def _files(commit: Commit, database: int) -> list[int]:
    """The numbers of the files of ``database`` that a commit deleted."""
    matches = (re.fullmatch(rf".*/{database}/(\d+)", file) for file in commit.files)
    return [int(match[1]) for match in matches if match]


_SHOWN = 8


def source_silent(commands: CommandLines, source: str, why: str) -> Problem:
    """The only ones who know do not answer."""
    return Problem(
        code="drop-source-silent",
        cause=f"only the catalog and the WAL of {source} record when a table was dropped, which does not answer: {why}",
        remedy=_give_a_time(commands),
    )


def table_exists(commands: CommandLines, table: TableName) -> Problem:
    """It was not dropped: emptied, perhaps."""
    return Problem(
        code="table-exists",
        cause=f"there is a table {table}, and there is no trace of an earlier one of that name that was dropped",
        remedy=f"--before-drop is about dropped tables; after a TRUNCATE, DELETE or UPDATE {_give_a_time(commands)}",
    )


def table_renamed(table: TableName, names: Collection[str]) -> Problem:
    """It is there under another name."""
    now = " and ".join(sorted(names))
    return Problem(
        code="table-renamed",
        cause=f"{table} was not dropped: it is called {now} now",
        remedy="rename it back, with ALTER TABLE or ALTER SCHEMA; its data is in place",
    )


def drop_unknown(
    commands: CommandLines,
    table: TableName,
    since: str,
    found: Sequence[Commit],
    why: str = "",
    *,
    rewritten: Commit | None = None,
) -> Problem:
    """Neither the catalog nor the WAL has its name any more. ``since`` is the first WAL segment that was read, ``why``
    no older one was, empty where that was enough; ``rewritten`` is by :func:`catalog_rewritten`.
    """
    gone = f"the catalog of the database has no trace of {table} left (is the name right? a vacuum takes it away)"
    if rewritten is not None:
        gone += (
            f"; transaction {rewritten.xid} rewrote the catalog (VACUUM FULL) at {TimeTarget(rewritten.time)}, and "
            "what was dropped before cannot be found by it"
        )
    if not found:
        return Problem(
            code="drop-unknown",
            cause=f"{gone}; no other drop of a table was found in the WAL that was read, from {since} on"
            + (f"; {why}" if why else ""),
            remedy=_give_a_time(commands),
        )
    one = len(found) == 1
    expect = ("--exclusive", "--expect-table", str(table))
    ways = "".join(
        f"\n      {commands.dr('pitr', '--target-lsn', lsn(commit.lsn), *expect)}"
        f"   # transaction {commit.xid}, {exact_moment_of(commit.time)}"
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
        + f"; verification shows whether the table is back:{ways}{more}",
    )


def drop_too_old(commands: CommandLines, table: TableName, xid: int, since: str, why: str) -> Problem:
    """Who dropped it is known, but not when. ``since`` is the oldest segment that was read, ``why`` no other was."""
    way = ("--target-xid", str(xid), "--exclusive", "--backup-id", "ID")
    return Problem(
        code="drop-too-old",
        cause=f"{table} was dropped by transaction {xid}, whose commit is older than all WAL that was read, from "
        f"{since} on; {why}",
        remedy=f"with a base backup from before it: {commands.dr('pitr', *way)} ({commands.dr('window')} lists them)",
    )


def _give_a_time(commands: CommandLines) -> str:
    recover, window = commands.dr("pitr", "--target-time", "TIME"), commands.dr("window")
    return f"give a time: {recover}; {window} shows from when until when"
