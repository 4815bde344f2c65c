"""What is read of ``pg_waldump``'s lines: commits, and the changes of one table's rows.

The wording of a change differs between versions ("off 5" up to 15, "off: 5" from 16 on); both are read.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from dr.core.wal_names import position_of

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
