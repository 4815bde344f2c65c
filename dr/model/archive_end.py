"""A target behind the end of the archive, when nothing can be added to the archive any more. Pure.

While the source lives, its WAL is sealed and the end moves up to now. Once it is dead, PostgreSQL would replay to the
end and give up (``recovery ended before configured recovery target was reached``), minutes later.
"""

from collections.abc import Iterator

from dr.model.archive import Archive
from dr.model.catalogue import BaseBackup
from dr.model.errors import Problem
from dr.model.target import RecoveryTarget
from dr.model.wal_names import lsn
from dr.model.window import End, windows


def problems_of_end(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> Iterator[Problem]:
    """That ``target`` lies behind all that a recovery from ``base`` can reach."""
    end = _end(archive, base, target)
    if target is None or end is None:
        return
    if target.time is not None and end.archived is not None and target.time >= end.archived:
        yield _problem(end, f"and the target {target} is later", f"before {RecoveryTarget(end.archived).rfc3339}")
    elif target.lsn is not None and target.lsn > end.lsn:
        yield _problem(end, f"and the target {target} is behind its end", f"up to LSN {lsn(end.lsn)}")


def _end(archive: Archive, base: BaseBackup, target: RecoveryTarget | None) -> End | None:
    timeline = target.timeline if target and target.timeline else archive.newest_timeline(base.timeline)
    found = (window for window in windows(archive) if window.timeline == timeline and base in window.backups)
    return next((window.end for window in found), None)


def _problem(end: End, why: str, nearest: str) -> Problem:
    when = f" at {RecoveryTarget(end.archived)}" if end.archived else ""
    return Problem(
        code="target-after-archive",
        cause=f"the source's primary does not answer, so no more of its WAL can be archived; the last segment, "
        f"{end.segment}, was archived{when}, {why}",
        remedy=f"choose a target {nearest} (the last commit may be earlier still), or take all there is: "
        "python -m dr latest",
    )
