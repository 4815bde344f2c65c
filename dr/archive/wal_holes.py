"""What missing WAL means for one recovery: no target behind a hole can be reached, and the end of the WAL is the hole.

PostgreSQL takes a missing segment for the end of the archive, and one that it cannot read too. A recovery to a target
behind it fails; one to the end of the WAL ends there and says nothing, and what was committed later is not in it.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from dr.archive.catalogue import BaseBackup
from dr.archive.contents import Archive
from dr.archive.databases import part_of
from dr.archive.window import Hole, holes_along, reach, windows
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import number_of

_ON_ITS_WAY = timedelta(minutes=10)
"""CloudNativePG archives several segments at once (``wal.maxParallel``), so a hole at the end may be none yet."""
_END = "the end of the WAL"


def problems_of_holes(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime, insists: bool = False
) -> Iterator[Problem]:
    """A hole between ``base`` and ``target`` that is there to stay, or any behind ``base`` where all that was committed
    is asked for; ``insists`` takes the latter upon itself.
    """
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at):
        return
    code = "wal-unreadable" if hole.damaged else "wal-missing"
    after = f"after base backup {hole.resumes.backup_id}" if hole.resumes else ""
    if _is_before(hole, target, base, archive.segment_size):
        until = f"until {RecoveryTarget(hole.before)}" if hole.before else "before it"
        yield Problem(
            code=code,
            cause=f"{missing(hole)}, and the recovery from base backup {base.backup_id} to {target or _END} needs it",
            remedy=f"choose a target {', or '.join(filter(None, (until, after)))}; python -m dr window shows what can "
            "be reached",
        )
    elif target is None and not insists:
        yield Problem(
            code=code,
            cause=f"{missing(hole)}: the recovery would end there, and {_lost(hole)} would not be in it",
            remedy="take a base backup, if the database still answers: a recovery from that does without; or put the "
            "object back as it was (gcloud storage ls --all-versions, --soft-deleted)",
        )


def warnings_of_holes(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime
) -> Iterator[str]:
    """A hole after ``base`` of which it is not certain that it stops the recovery, or that nobody would be told of."""
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at):
        return
    if target is None:
        yield f"{missing(hole)}: the recovery will end there, and {_lost(hole)} will not be in it."
    elif target.xid is not None or target.name is not None:
        yield f"{missing(hole)}: if {target} lies behind it, the recovery will fail and say so."


def problems_of_base_wal(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime, coming: bool
) -> Iterator[Problem]:
    """That no window of the archive has ``base``, on the timeline that ``target`` follows. ``coming`` says that the
    source still archives what it has written.
    """
    part, timeline = part_of(archive, base), timeline_followed(archive, base, target)
    if timeline not in part.timelines or timeline in part.unreadable:
        return
    path = part.path(timeline)
    if reach(path, base) is not None:
        return
    if not path.passes(base):
        ways = [window.options for window in windows(archive) if base in window.backups and window.options]
        yield Problem(
            code="backup-off-timeline",
            cause=f"base backup {base.backup_id} is no beginning for timeline {timeline}, which had left timeline "
            f"{base.timeline} before it ended",
            remedy=f"with pitr: {ways[0]}" if ways else "python -m dr window shows what can be reached",
        )
        return
    own = (base.begin_wal, base.end_wal)
    why = next((archive.damaged[name] for name in own if name in archive.damaged), "")
    if coming and not why and seen_at - base.end <= _ON_ITS_WAY:
        return
    said = f"{own[0]} to {own[1]}" if own[0] != own[1] else own[0]
    yield Problem(
        code="wal-unreadable" if why else "wal-missing",
        cause=f"base backup {base.backup_id} cannot be used: its own WAL, {said}, is not all in the archive"
        + (f" as it was: {why}" if why else ""),
        remedy="python -m dr window shows what can be reached; if the database still answers, wait until it has "
        "archived that, or take a base backup",
    )


def _first_hole(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> Hole | None:
    part = part_of(archive, base)
    begin = number_of(base.begin_wal, part.segment_size)
    along = holes_along(part, part.path(timeline_followed(archive, base, target)))
    return next((hole for hole in along if number_of(hole.last, part.segment_size) >= begin), None)


def timeline_followed(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> int:
    """The timeline that a recovery from ``base`` follows."""
    return target.timeline if target and target.timeline else archive.newest_timeline(base.timeline)


def settled(hole: Hole, seen_at: datetime) -> bool:
    """Whether ``hole`` is there to stay, and no segment of it is on its way. What is damaged was archived."""
    return bool(hole.damaged) or (hole.after is not None and seen_at - hole.after > _ON_ITS_WAY)


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
        what = f"WAL segment {hole.first}"
        lacking = "is missing in the archive"
    else:
        what = f"{hole.count:,} WAL segments, {hole.first} to {hole.last},"
        lacking = "are missing in the archive"
    if not hole.damaged:
        return f"{what} {lacking}"
    name, why = next(iter(hole.damaged.items()))
    damaged = f"cannot be replayed: {why}" if hole.count == 1 else f"cannot be replayed ({name}: {why})"
    return f"{what} {damaged}" if len(hole.damaged) == hole.count else f"{what} {lacking} or {damaged}"


def _lost(hole: Hole) -> str:
    return f"what was committed after {RecoveryTarget(hole.before)}" if hole.before else "what was committed after it"
