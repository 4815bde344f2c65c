"""The recoverable window: from when until when a target can be reached, where it cannot in between, and why.

A recovery needs a completed base backup that ended before the target, and every WAL segment from that backup's begin up
to the first commit after the target. So a window begins where a base backup ends, and ends with the last segment that
follows without a gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dr.model.archive.catalogue import BaseBackup
from dr.model.archive.contents import Archive, Path, Stretch
from dr.model.archive.wal_names import number_of


@dataclass(frozen=True, kw_only=True)
class End:
    """The right end of a window: all of ``segment`` is archived, up to the position ``lsn``.

    ``archived`` is the time of its object (aware UTC), so nothing in it was committed later; ``last_commit`` is the
    time of the last commit in it, None where the WAL itself was not read.
    """

    segment: str
    lsn: int
    archived: datetime | None
    last_commit: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """What can be reached along ``timeline`` from ``backups``, oldest first. ``by_default`` says that a recovery goes
    that way without being told a timeline.
    """

    timeline: int
    by_default: bool
    backups: tuple[BaseBackup, ...]
    end: End

    @property
    def start(self) -> datetime:
        """The earliest target: the end of the first base backup."""
        return self.backups[0].end

    @property
    def options(self) -> str:
        """What to add to a recovery so that it goes this way. CloudNativePG takes base backups of another timeline
        than the one it is told only by their ID (barman-cloud, ``catalog.go``).
        """
        if self.by_default:
            return ""
        named = f"--timeline {self.timeline}"
        same = all(backup.timeline == self.timeline for backup in self.backups)
        return named if same else f"{named} --backup-id {self.backups[0].backup_id}"


@dataclass(frozen=True, kw_only=True)
class Hole:
    """Segments that are missing between archived ones: ``count`` of them, from ``first`` to ``last`` on ``timeline``.

    ``before`` and ``after`` are the times of the objects beside it; ``needed`` says that a base backup before it needs
    them; ``resumes`` is the first base backup after it that can be used.
    """

    timeline: int
    first: str
    last: str
    count: int
    before: datetime | None
    after: datetime | None
    needed: bool
    resumes: BaseBackup | None


def windows(archive: Archive) -> tuple[Window, ...]:
    """The windows of ``archive``, by their start; those that another one contains are left out."""
    paths = [archive.path(timeline) for timeline in archive.timelines]
    found = [window for path in paths for window in _windows(archive, path)]
    kept = [window for window in found if window.by_default or not any(_contains(path, window) for path in paths)]
    return tuple(sorted(kept, key=lambda window: (window.start, window.timeline)))


def window_of(archive: Archive, base: BaseBackup, timeline: int | None = None) -> Window | None:
    """The window that a recovery from ``base`` has, along ``timeline``, or along the one that PostgreSQL takes without
    being told; None where its own WAL is not archived.
    """
    wanted = timeline or archive.newest_timeline(base.timeline)
    found = (window for window in windows(archive) if window.timeline == wanted and base in window.backups)
    return next(found, None)


def holes(archive: Archive) -> tuple[Hole, ...]:
    """The holes of ``archive``, each once, however many timelines lead across it."""
    found: dict[tuple[int, str, str], Hole] = {}
    for timeline in reversed(archive.timelines):
        for hole in holes_along(archive, archive.path(timeline)):
            known = found.setdefault((hole.timeline, hole.first, hole.last), hole)
            if hole.needed and not known.needed:
                found[hole.timeline, hole.first, hole.last] = hole
    return tuple(sorted(found.values(), key=lambda hole: (hole.timeline, hole.first)))


def unusable(archive: Archive) -> tuple[BaseBackup, ...]:
    """Completed base backups whose own WAL is not wholly archived, so that they can never become consistent."""
    used = {backup.backup_id for window in windows(archive) for backup in window.backups}
    paths = [archive.path(timeline) for timeline in archive.timelines]
    return tuple(
        backup
        for backup in archive.backups
        if backup.backup_id not in used and not any(_reach(path, backup) for path in paths)
    )


def _windows(archive: Archive, path: Path) -> Iterator[Window]:
    groups: dict[tuple[Stretch, bool], list[BaseBackup]] = {}
    for backup in archive.backups:
        if reach := _reach(path, backup):
            by_default = archive.newest_timeline(backup.timeline) == path.timeline
            groups.setdefault((reach, by_default), []).append(backup)
    for (reach, by_default), backups in groups.items():
        yield Window(
            timeline=path.timeline,
            by_default=by_default,
            backups=tuple(sorted(backups, key=lambda backup: backup.end)),
            end=End(
                segment=archive.name(reach.timeline, reach.last),
                lsn=(reach.last + 1) * archive.segment_size,
                archived=archive.archived(reach.timeline, reach.last),
            ),
        )


def _reach(path: Path, backup: BaseBackup) -> Stretch | None:
    """The stretch that a recovery from ``backup`` reads along ``path``; None when the backup's own WAL is not in it."""
    if not path.passes(backup):
        return None
    first, last = (number_of(name, backup.segment_size) for name in (backup.begin_wal, backup.end_wal))
    return next((stretch for stretch in path.stretches if stretch.first <= first and last <= stretch.last), None)


def _contains(path: Path, window: Window) -> bool:
    """Whether ``path`` leaves the window's timeline only after all of it."""
    left_at = path.switch_from(window.timeline)
    return left_at is not None and window.end.lsn <= left_at


def holes_along(archive: Archive, path: Path) -> Iterator[Hole]:
    """The holes on ``path``, as they come."""
    size = archive.segment_size
    starts = {backup: number_of(backup.begin_wal, size) for backup in archive.backups if path.passes(backup)}
    for before, after in zip(path.stretches, path.stretches[1:], strict=False):
        resuming = (
            backup for backup in archive.backups if starts.get(backup, -1) > before.last and _reach(path, backup)
        )
        resumes = next(resuming, None)
        # A segment that holds a switch is missed on the newer timeline.
        ends = [following.first - 1 for following in path.legs[1:]]
        for leg, end in zip(path.legs, [*ends, after.first - 1], strict=True):
            first, last = max(before.last + 1, leg.first), min(after.first - 1, end)
            if first <= last:
                yield Hole(
                    timeline=leg.timeline,
                    first=archive.name(leg.timeline, first),
                    last=archive.name(leg.timeline, last),
                    count=last - first + 1,
                    before=archive.archived(before.timeline, before.last),
                    after=_first_archived(archive, path, after),
                    needed=any(start <= before.last for start in starts.values()),
                    resumes=resumes,
                )


def _first_archived(archive: Archive, path: Path, stretch: Stretch) -> datetime | None:
    legs = (leg for leg in reversed(path.legs) if leg.holds(stretch.first))
    return next((time for leg in legs if (time := archive.archived(leg.timeline, stretch.first))), None)
