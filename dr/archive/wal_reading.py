"""Which archived WAL is worth looking into, and what was learned from the first pages that were read. Pure.

The bucket's listing has the size of every object. More is known of a segment only when its first page was read, which
takes a request for each, so it is done for as many as there is time for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dr.archive.catalogue import BaseBackup
from dr.archive.contents import Archive, Path
from dr.archive.databases import backwards, part_of, systems
from dr.archive.wal_holes import timeline_followed
from dr.archive.wal_validity import Expected, FirstPage, fault_of_page
from dr.archive.window import reach, windows
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import is_segment, number_of, timeline_of

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
    size, last = part.segment_size, stretch.last
    if target is not None and target.lsn is not None:
        last = min(last, target.lsn // size)
    elif target is not None and target.immediate:
        last = min(last, number_of(base.end_wal, size))
    found: list[str] = []
    for number in range(number_of(base.begin_wal, size), last + 1):
        names = (part.name(timeline, number) for timeline in path.timelines_at(number))
        found.append(next(name for name in names if name in part.files))
        time = part.files[found[-1]]
        if target is not None and target.time is not None and time is not None and time > target.time:
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
    of the windows with what their base backups need, the newest window first, and others by lot: ``draw`` takes so many
    of a sequence.
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
