"""Whether archived WAL can be replayed, by the first pages of its segments, and which are worth reading. Pure.

PostgreSQL looks at the header of each page before it reads a record of it (``XLogReaderValidatePageHeader`` in
``xlogreader.c``). In a recovery without a target it takes a segment that it cannot use for the end of the WAL, and
promotes. The layout is that of ``XLogLongPageHeaderData`` in ``src/include/access/xlog_internal.h``, in the byte order
of the server's machine.

The bucket's listing has the size of every object. More is known of a segment only when its first page was read, which
takes a request for each, so it is done for as many as there is time for.
"""

import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from dr.archive.contents import Archive, BaseBackup, Path
from dr.archive.databases import backwards, part_of, systems
from dr.archive.window import reach, timeline_followed, windows
from dr.core.errors import Problem
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.wal_names import is_segment, lsn, number_of, timeline_of

HEADER_BYTES = 40
"""``SizeOfXLogLongPHD``: how much of a segment has to be read, decompressed."""

_MAGIC = {13: 0xD106, 14: 0xD10D, 15: 0xD110, 16: 0xD113, 17: 0xD116, 18: 0xD118}
"""``XLOG_PAGE_MAGIC`` of each major version."""
_ANY_MAGIC = range(0xD000, 0xE000)
"""What it lies in, of versions that are not in the table as well."""
_LONG_HEADER = 0x0002
"""``XLP_LONG_HEADER``, which the first page of every segment has."""
_LAYOUT = "HHIQI4xQII"
_SMALLEST, _LARGEST = 2**20, 2**30
"""``WalSegMinSize`` and ``WalSegMaxSize``; a size is a power of two."""
_LEAST_COMPRESSED = 64
"""In bytes. A header has more than can be compressed into less, even where the rest of the segment is zeros."""


@dataclass(frozen=True, kw_only=True)
class FirstPage:
    """What the first page of a segment says. ``position`` is where in the WAL it belongs, ``segment_size`` in bytes;
    ``long`` says that it has the header of a first page, without which the last two fields mean nothing.
    """

    magic: int
    long: bool
    timeline: int
    position: int
    system_id: str
    segment_size: int

    @classmethod
    def parse(cls, content: bytes) -> "FirstPage | None":
        """The page that ``content`` begins with, None where it is shorter than a header."""
        if len(content) < HEADER_BYTES:
            return None
        read = [struct.unpack_from(f"{order}{_LAYOUT}", content) for order in "<>"]
        fields = next((one for one in read if one[0] in _ANY_MAGIC), read[0])
        magic, info, timeline, position, _, system_id, segment_size, _ = fields
        return cls(
            magic=magic,
            long=bool(info & _LONG_HEADER),
            timeline=timeline,
            position=position,
            system_id=str(system_id),
            segment_size=segment_size,
        )

    def is_wal(self, majors: Collection[int]) -> bool:
        """Whether it is a segment's first page, as PostgreSQL of these ``majors`` writes it; of any without one."""
        known = {_MAGIC.get(major) for major in majors}
        right = self.magic in _ANY_MAGIC if None in known or not known else self.magic in known
        return right and self.long


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the first page of one segment has to say. ``majors`` and ``systems`` are the PostgreSQL versions and system
    identifiers that the archive's base backups are of, as far as they say so; ``switches`` says that the segment is the
    first of its timeline: PostgreSQL copies the older timeline's pages into it (``XLogInitNewTimeline``).
    """

    timeline: int
    position: int
    segment_size: int
    majors: Collection[int]
    systems: Collection[str]
    switches: bool


def fault_of_size(size: int | None, suffix: str, segment_sizes: Collection[int]) -> str:
    """Why an object of ``size`` bytes cannot be a whole segment, empty where it may be. ``suffix`` is that of its
    compression, empty without one; ``segment_sizes`` are those that base backups tell of.
    """
    if size is None or size in segment_sizes:
        return ""
    if suffix:
        return f"its object has {size:,} bytes" if size < _LEAST_COMPRESSED else ""
    if segment_sizes:
        return f"its object has {size:,} bytes, and a segment has {max(segment_sizes):,}"
    possible = _SMALLEST <= size <= _LARGEST and size.bit_count() == 1
    return "" if possible else f"its object has {size:,} bytes, which no segment has"


def fault_of_end(suffix: str, last: bytes, segment_size: int) -> str:
    """Why an object that ends with ``last`` is not a whole compressed segment, empty where it may be. ``suffix`` is
    that of its compression: gzip's end has the size of what was compressed (RFC 1952), xz's a mark of its own (its file
    format, 2.1.2.4); the others say nothing that is known without the rest.
    """
    if suffix == ".gz" and int.from_bytes(last[-4:], "little") != segment_size:
        return "its end is missing, or it is of another size than a segment"
    if suffix == ".xz" and last[-2:] != b"YZ":
        return "its end is missing"
    return ""


def fault_of_page(page: FirstPage | None, expected: Expected) -> str:
    """Why PostgreSQL would not read the segment that begins with ``page``, empty where it would."""
    if page is None:
        return "it ends within the header of its first page"
    if not page.is_wal(expected.majors):
        of = f"PostgreSQL {' or '.join(map(str, sorted(expected.majors)))}" if expected.majors else "PostgreSQL"
        return f"it does not begin as a WAL segment of {of} does (magic number {page.magic:04X})"
    if expected.systems and page.system_id not in expected.systems:
        ours = ", ".join(sorted(expected.systems))
        return f"it is of another database: its system identifier is {page.system_id}, the base backups' is {ours}"
    if page.segment_size != expected.segment_size:
        return f"it says that segments have {page.segment_size:,} bytes, and they have {expected.segment_size:,}"
    if page.position != expected.position:
        return f"it begins at LSN {lsn(page.position)}, which is another segment's place"
    older = page.timeline < expected.timeline and expected.switches
    if page.timeline != expected.timeline and not older:
        return f"it is of timeline {page.timeline}"
    return ""


_NEWEST = 8
"""How many segments at the end of each window are looked into on an ordinary day."""


def needed(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> tuple[str, ...]:
    """The archived segments that a recovery from ``base`` to ``target`` replays, oldest first, up to the first hole.

    To a time these are all up to the first that was archived after it, as a commit behind the target is needed; to what
    a listing does not tell, all.
    """
    part = part_of(archive, base)
    return _replayed(part, part.path(timeline_followed(archive, base, target)), base, target)


def _replayed(part: Archive, path: Path, base: BaseBackup, target: RecoveryTarget | None) -> tuple[str, ...]:
    stretch = reach(path, base)
    if stretch is None:
        return ()
    size, last, until = part.segment_size, stretch.last, None
    match target:
        case TimeTarget():
            until = target.time
        case LsnTarget():
            last = min(last, target.lsn // size)
        case ImmediateTarget():
            last = min(last, number_of(base.end_wal, size))
        case XidTarget() | NameTarget() | None:
            pass
        case _:
            assert_never(target)
    found: list[str] = []
    for number in range(number_of(base.begin_wal, size), last + 1):
        names = (part.name(timeline, number) for timeline in path.timelines_at(number))
        found.append(next(name for name in names if name in part.files))
        time = part.files[found[-1]]
        if until is not None and time is not None and time > until:
            break
    return tuple(found)


def in_order(archive: Archive, names: Sequence[str], base: BaseBackup) -> tuple[str, ...]:
    """``names``, which are oldest first, as they are worth reading: where another database may have begun to write, and
    what ``base`` cannot do without; then the newest first, as PostgreSQL says nothing of an end that comes too early.
    """
    first = {*backwards(archive), base.begin_wal, base.end_wal}
    return (*(name for name in names if name in first), *(name for name in reversed(names) if name not in first))


def sample(archive: Archive, size: int, draw: Callable[[Sequence[str], int], Sequence[str]]) -> tuple[str, ...]:
    """Up to ``size`` segments to look into on an ordinary day: where another database may have begun to write, the ends
    of the windows with what their base backups need, the newest window first, and others at random: ``draw`` takes so
    many of a sequence.
    """
    first = [*backwards(archive)]
    for window in reversed(windows(archive)):
        base = window.backups[-1]
        part = part_of(archive, base)
        names = _replayed(part, part.path(window.timeline), base, None)
        first += [*reversed(names[-_NEWEST:]), *names[:1]]
    first = list(dict.fromkeys(first))[:size]
    others = [name for name in archive.files if is_segment(name) and name not in {*first, *archive.damaged}]
    return (*first, *draw(others, min(len(others), size - len(first))))


def with_pages(archive: Archive, pages: Mapping[str, FirstPage | str | Problem | None]) -> Archive:
    """``archive`` with what was learned of the segments in ``pages``: the first page, None where there is not even
    that; why it is unreadable, in words; or why it could not be asked for.
    """
    damaged, read, unasked = dict(archive.damaged), dict(archive.read), dict(archive.unasked)
    known = systems(archive)
    for name, page in pages.items():
        if isinstance(page, Problem):
            unasked[name] = page
            continue
        expected = _expected(archive, name, known)
        read[name] = page.system_id if isinstance(page, FirstPage) and page.is_wal(expected.majors) else ""
        if why := page if isinstance(page, str) else fault_of_page(page, expected):
            damaged[name] = why
    return replace(archive, damaged=damaged, read=read, unasked=unasked)


def _expected(archive: Archive, name: str, known: Sequence[str]) -> Expected:
    size, timeline = archive.segment_size, timeline_of(name)
    number, switches = number_of(name, size), archive.histories.get(timeline, ())
    return Expected(
        timeline=timeline,
        position=number * size,
        segment_size=size,
        majors={backup.major for backup in archive.backups if backup.major},
        # One of another database that has base backups here is no fault: it is that database's.
        systems=known,
        switches=not switches or switches[-1].lsn // size == number,
    )
