"""A target behind the end of the archive, when nothing will be added to the archive first. Pure.

While the source lives, its WAL is sealed and the end moves up to now. Once it is dead, or where sealing is left out,
PostgreSQL would replay to the end and give up (``recovery ended before configured recovery target was reached``),
minutes later.
"""

from collections.abc import Iterator

from dr.archive.catalogue import BaseBackup
from dr.archive.contents import Archive
from dr.archive.window import End, window_of
from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import lsn


def problems_of_end(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, alive: bool = False
) -> Iterator[Problem]:
    """That ``target`` lies behind all that a recovery from ``base`` can reach. ``alive`` says that the source could
    still archive its newest WAL.
    """
    window = window_of(archive, base, target.timeline if target else None)
    if target is None or window is None:
        return
    end = window.end
    if target.time is not None and end.archived is not None and target.time >= end.archived:
        nearest = f"before {RecoveryTarget(end.archived).rfc3339}"
        yield _problem(end, f"and the target {target} is later", nearest, alive=alive)
    elif target.lsn is not None and target.lsn > end.lsn:
        yield _problem(end, f"and the target {target} is behind its end", f"up to LSN {lsn(end.lsn)}", alive=alive)


def _problem(end: End, why: str, nearest: str, *, alive: bool) -> Problem:
    when = f" at {RecoveryTarget(end.archived)}" if end.archived else ""
    because = "the source's primary does not answer, so no more of its WAL can be archived"
    remedy = (
        f"choose a target {nearest} (the last commit may be earlier still), or take all there is: python -m dr latest"
    )
    if alive:
        because = "with --skip-seal the newest WAL is not archived first"
        remedy = f"leave --skip-seal out, or choose a target {nearest} (the last commit may be earlier still)"
    return Problem(
        code="target-after-archive",
        cause=f"{because}; the last segment, {end.segment}, was archived{when}, {why}",
        remedy=remedy,
    )
