"""When a table disappeared: from what the catalog's file and the WAL still tell, to one commit. Pure.

A dropped table's row of ``pg_class`` is still in the catalog's file, with the transaction that deleted it, until it is
vacuumed. Where the file is older than the deletion, or has lost it, the row is followed through the WAL: its position
is known, and every record that moved or deleted it names that position.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.archive.wal_lines import Commit, WalView
from dr.before_drop.catalog_rows import CatalogRow
from dr.core.later_commits import LaterCommits
from dr.core.target import RecoveryTarget


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
    name, ``again`` whether there is a table of that name now, made after the drop; ``from_archive`` counts the segments
    that were read in the archive for it.
    """

    table: str
    xid: int
    time: datetime
    lsn: int
    left_out: LaterCommits
    kept: Commit | None = None
    earlier: tuple[datetime, ...] = ()
    again: bool = False
    from_archive: int = 0

    @property
    def target(self) -> RecoveryTarget:
        """All that was committed before the drop, and nothing of it: recovery stops before the commit's record."""
        return RecoveryTarget(lsn=self.lsn, exclusive=True)

    @property
    def moment(self) -> RecoveryTarget:
        """The same as a time, for this table alone: whatever changed it was committed earlier, as the drop waited for
        it. Other tables may lack what was committed in the very microsecond.
        """
        return RecoveryTarget(self.time - timedelta(microseconds=1))

    @property
    def facts(self) -> Mapping[str, str]:
        """For a plan."""
        said = [f"{self.table}, by transaction {self.xid}, committed at {RecoveryTarget(self.time)}"]
        if self.earlier:
            times = ", ".join(str(RecoveryTarget(time)) for time in self.earlier)
            said.append(f"an earlier one of that name at {times}")
        if self.again:
            said.append("a table of that name was made again since")
        if self.from_archive:
            plural = "" if self.from_archive == 1 else "s"
            said.append(f"found by reading {self.from_archive:,} segment{plural} of the archived WAL")
        last = f"transaction {self.kept.xid}, committed at {RecoveryTarget(self.kept.time)}" if self.kept else ""
        return {"Dropped": "; ".join(said), **({"Last kept": last} if last else {})}


def endings(catalog: CatalogView, wal: WalView, known: Mapping[int, bool]) -> tuple[Ending, ...]:
    """Every end of a table of the wanted name that can be told, in the order of their commits; those whose commit is
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
        left_out=LaterCommits(count=wal.total - commit.number + 1, last=wal.last or commit.time, complete=True),
        earlier=tuple(earlier),
        again=again,
        from_archive=from_archive,
    )


def candidates(wal: WalView, database: int) -> tuple[Commit, ...]:
    """The commits that deleted tables of ``database``, newest first: each deleted files and rows of ``pg_class``. A
    TRUNCATE deletes files alone; a rewrite of a table (CLUSTER, some ALTER TABLE) cannot be told from a drop.
    """
    deleting = {change.xid for change in wal.changes if change.to is None}
    found = [
        commit
        for commit in wal.commits
        if deleting & {commit.xid, *commit.subtransactions}
        and any(re.fullmatch(rf".*/{database}/\d+", file) for file in commit.files)
    ]
    return tuple(sorted(found, key=lambda commit: -commit.lsn))
