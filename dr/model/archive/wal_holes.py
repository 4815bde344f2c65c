"""What missing WAL means for one recovery: no target behind a hole can be reached, and the end of the WAL is the hole.

PostgreSQL takes a missing segment for the end of the archive. A recovery to a target behind it fails; one to the end of
the WAL ends there and says nothing, and what was committed later is not in it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dr.model.archive.catalogue import BaseBackup
from dr.model.archive.contents import Archive
from dr.model.archive.wal_names import number_of
from dr.model.archive.window import Hole, holes_along
from dr.model.errors import Problem
from dr.model.target.target import RecoveryTarget

_ON_ITS_WAY = timedelta(minutes=10)
"""CloudNativePG archives several segments at once (``wal.maxParallel``), so a hole at the end may be none yet."""


def problems_of_holes(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime
) -> Iterator[Problem]:
    """A hole between ``base`` and ``target`` that is there to stay."""
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at) or not _is_before(hole, target, base, archive.segment_size):
        return
    until = f"until {RecoveryTarget(hole.before)}" if hole.before else "before it"
    after = f", or after base backup {hole.resumes.backup_id}" if hole.resumes else ""
    yield Problem(
        code="wal-missing",
        cause=f"{missing(hole)}, and the recovery from base backup {base.backup_id} to {target} needs it",
        remedy=f"choose a target {until}{after}; python -m dr window shows what can be reached",
    )


def warnings_of_holes(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime
) -> Iterator[str]:
    """A hole after ``base`` of which it is not certain that it stops the recovery, or that nobody would be told of."""
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at):
        return
    if target is None:
        since = f"after {RecoveryTarget(hole.before)}" if hole.before else "after it"
        yield f"{missing(hole)}: the recovery will end there, and what was committed {since} will not be in it."
    elif target.xid is not None or target.name is not None:
        yield f"{missing(hole)}: if {target} lies behind it, the recovery will fail and say so."


def _first_hole(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> Hole | None:
    timeline = target.timeline if target and target.timeline else archive.newest_timeline(base.timeline)
    begin = number_of(base.begin_wal, archive.segment_size)
    along = holes_along(archive, archive.path(timeline))
    return next((hole for hole in along if number_of(hole.last, archive.segment_size) >= begin), None)


def settled(hole: Hole, seen_at: datetime) -> bool:
    """Whether ``hole`` is there to stay, and no segment of it is on its way."""
    return hole.after is not None and seen_at - hole.after > _ON_ITS_WAY


def _is_before(hole: Hole, target: RecoveryTarget | None, base: BaseBackup, size: int) -> bool:
    """Whether the recovery surely has to read the hole."""
    first = number_of(hole.first, size)
    if first <= number_of(base.end_wal, size):
        return True
    if target is not None and target.lsn is not None:
        return first * size <= target.lsn
    # All that was committed before the hole was committed by the time its last segment was archived.
    return target is not None and target.time is not None and hole.before is not None and hole.before < target.time


def missing(hole: Hole) -> str:
    """The hole in words."""
    if hole.count == 1:
        return f"WAL segment {hole.first} is missing in the archive"
    return f"{hole.count:,} WAL segments, {hole.first} to {hole.last}, are missing in the archive"
