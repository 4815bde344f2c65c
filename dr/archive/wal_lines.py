"""``pg_waldump``'s lines, read into commits and changes of rows, and the pieces of archived WAL to run it on. Pure.

The wording of a change differs between versions ("off 5" up to 15, "off: 5" from 16 on); both are read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from dr.archive.contents import Archive, Path
from dr.core.wal_names import name_of, number_of, position_of, timeline_of

Place = tuple[int, int]
"""Where a row stands: the number of its page and of its line pointer (``ctid``)."""


_RECORD = re.compile(r"tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+),.*? desc: (.*)")
_COMMIT = re.compile(r"COMMIT(?:_PREPARED (?P<prepared>\d+):)? (?P<time>[0-9-]+ [0-9:.]+) UTC")
_CHANGE = re.compile(r"(DELETE|UPDATE|HOT_UPDATE) ")
_OLD_POINTER = re.compile(r"\b(?:old_)?off:? (\d+)")
_NEW_POINTER = re.compile(r"\bnew[ _]off:? (\d+)")
_BLOCK = re.compile(r"blkref #\d+: rel \S+ (?:fork \w+ )?blk (\d+)")


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A commit. ``lsn`` is where its record begins; ``time`` is aware UTC; ``files`` are those it deleted, as
    ``base/16385/17484``; ``subtransactions`` committed with it. ``number`` counts the commits that were read.
    """

    xid: int
    lsn: int
    time: datetime
    number: int
    files: tuple[str, ...] = ()
    subtransactions: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """A row that was deleted, or replaced by one at ``to``. ``xid`` may be a subtransaction's."""

    xid: int
    lsn: int
    at: Place
    to: Place | None = None


def read_commit(line: str, *, number: int = 0) -> Commit | None:
    """The commit in a line, None where there is none."""
    record = _RECORD.search(line)
    found = _COMMIT.match(record[3]) if record else None
    if record is None or found is None:
        return None
    return Commit(
        xid=int(found["prepared"] or record[1]),
        lsn=position_of(record[2]),
        time=datetime.fromisoformat(found["time"]).replace(tzinfo=UTC),
        number=number,
        files=tuple(_list(line, "rels")),
        subtransactions=frozenset(int(xid) for xid in _list(line, "subxacts")),
    )


def read_changes(lines: Iterable[str]) -> Iterator[RowChange]:
    """The deleted and replaced rows in ``lines``, which are about one table."""
    for line in lines:
        record = _RECORD.search(line)
        if record is None or not (kind := _CHANGE.match(record[3])):
            continue
        old, new = _OLD_POINTER.search(record[3]), _NEW_POINTER.search(record[3])
        blocks = [int(number) for number in _BLOCK.findall(record[3])]
        if old is None or not blocks:
            continue
        # The first block is the new row's; the old one's is told only where it is another (heapam_xlog.h).
        to = (blocks[0], int(new[1])) if kind[1] != "DELETE" and new else None
        yield RowChange(xid=int(record[1]), lsn=position_of(record[2]), at=(blocks[-1], int(old[1])), to=to)


def _list(line: str, name: str) -> list[str]:
    found = re.search(rf"; {name}: ([^;]*)", line)
    return found[1].split() if found else []


@dataclass(frozen=True, kw_only=True)
class WalView:
    """What the WAL that was read tells: changes of rows of ``pg_class`` in order, the commits that may have to do with
    them, how many commits there are in all, the last one's time, and the segment that reading began with.
    """

    changes: tuple[RowChange, ...]
    commits: tuple[Commit, ...]
    total: int
    last: datetime | None
    first_segment: str

    @cached_property
    def _by_xid(self) -> Mapping[int, Commit]:
        return {xid: commit for commit in self.commits for xid in (commit.xid, *commit.subtransactions)}

    def commit_of(self, xid: int) -> Commit | None:
        """The commit of a transaction or of one of its subtransactions."""
        return self._by_xid.get(xid)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Segments of one timeline to be read at once, oldest first. ``after`` is the segment that follows, in which their
    last record may end; ``after_as`` is its name on their timeline, and ``end`` the position where it begins.
    """

    segments: tuple[str, ...]
    after: str
    after_as: str
    end: int


def pieces_before(archive: Archive, segment: str, *, size: int) -> Iterator[Piece]:
    """The pieces of up to ``size`` segments that lead to ``segment``, newest first, until one is not archived, or is
    damaged.

    A segment that holds a switch of timelines is read on the newer one, as PostgreSQL does.
    """
    newest, gathered = segment, list[str]()
    for name in _names_before(archive, segment):
        if gathered and (len(gathered) == size or timeline_of(name) != timeline_of(gathered[0])):
            yield _piece(archive, gathered, newest)
            newest, gathered = gathered[0], []
        gathered.insert(0, name)
    if gathered:
        yield _piece(archive, gathered, newest)


def first_missing(archive: Archive, oldest: str) -> str:
    """The segment before ``oldest``, at which going back ends."""
    number = number_of(oldest, archive.segment_size) - 1
    return archive.name(_timeline_at(archive.path(timeline_of(oldest)), number), number)


def _names_before(archive: Archive, segment: str) -> Iterator[str]:
    path = archive.path(timeline_of(segment))
    for number in range(number_of(segment, archive.segment_size) - 1, -1, -1):
        name = archive.name(_timeline_at(path, number), number)
        if name not in archive.files or name in archive.damaged:
            return
        yield name


def _timeline_at(path: Path, number: int) -> int:
    """The timeline that the segment ``number`` is read on."""
    return next(path.timelines_at(number))


def _piece(archive: Archive, segments: list[str], after: str) -> Piece:
    number = number_of(after, archive.segment_size)
    return Piece(
        segments=tuple(segments),
        after=after,
        after_as=name_of(timeline_of(segments[0]), number, archive.segment_size),
        end=number * archive.segment_size,
    )
