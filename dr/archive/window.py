"""The recoverable window: from when until when a target can be reached, where it cannot in between, and why.

A recovery needs a completed base backup that ended before the target, and every WAL segment from that backup's begin up
to the first commit after the target. So a window begins where a base backup ends, and ends with the last segment that
follows without a gap. A segment that cannot be replayed is as one that is missing, and one of another database is none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from dr.archive.catalogue import BaseBackup
from dr.archive.contents import Archive, Path, Stretch
from dr.archive.databases import parts
from dr.core.wal_names import number_of


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
    def system_id(self) -> str:
        """The system identifier of the database that it is of, empty where not recorded."""
        return self.backups[-1].system_id

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
    """Segments that cannot be replayed: ``count`` of them, from ``first`` to ``last`` on ``timeline``.

    They are missing between archived ones, but for those that ``damaged`` maps to why they cannot be used; a hole at
    the end of the archive ends with such a one. ``before`` and ``after`` are the times of the objects beside it, None
    where nothing follows; ``needed`` says that a base backup before it needs them; ``resumes`` is the first base backup
    after it that can be used.
    """

    timeline: int
    first: str
    last: str
    count: int
    before: datetime | None
    after: datetime | None
    needed: bool
    resumes: BaseBackup | None
    damaged: Mapping[str, str] = field(default_factory=dict)


def windows(archive: Archive) -> tuple[Window, ...]:
    """The windows of ``archive``, by their start; those that another one contains are left out."""
    found: list[Window] = []
    for part in parts(archive):
        paths = [part.path(timeline) for timeline in part.timelines]
        along = (window for path in paths for window in _windows(part, path))
        found += [window for window in along if window.by_default or not _contained(paths, window)]
    return tuple(sorted(found, key=lambda window: (window.start, window.timeline)))


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
    along = (
        hole
        for part in parts(archive)
        for timeline in reversed(part.timelines)
        for hole in holes_along(part, part.path(timeline))
    )
    for hole in along:
        known = found.setdefault((hole.timeline, hole.first, hole.last), hole)
        if hole.needed and not known.needed:
            found[hole.timeline, hole.first, hole.last] = hole
    return tuple(sorted(found.values(), key=lambda hole: (hole.timeline, hole.first)))


def unusable(archive: Archive) -> tuple[BaseBackup, ...]:
    """Completed base backups whose own WAL is not wholly archived, so that they can never become consistent."""
    found: list[BaseBackup] = []
    for part in parts(archive):
        paths = [part.path(timeline) for timeline in part.timelines]
        found += [backup for backup in part.backups if not any(reach(path, backup) for path in paths)]
    return tuple(found)


def _windows(archive: Archive, path: Path) -> Iterator[Window]:
    groups: dict[tuple[Stretch, bool], list[BaseBackup]] = {}
    for backup in archive.backups:
        if stretch := reach(path, backup):
            by_default = archive.newest_timeline(backup.timeline) == path.timeline
            groups.setdefault((stretch, by_default), []).append(backup)
    for (stretch, by_default), backups in groups.items():
        yield Window(
            timeline=path.timeline,
            by_default=by_default,
            backups=tuple(sorted(backups, key=lambda backup: backup.end)),
            end=End(
                segment=archive.name(stretch.timeline, stretch.last),
                lsn=(stretch.last + 1) * archive.segment_size,
                archived=archive.archived(stretch.timeline, stretch.last),
            ),
        )


def reach(path: Path, backup: BaseBackup) -> Stretch | None:
    """The stretch that a recovery from ``backup`` reads along ``path``; None when the backup's own WAL is not in it.
    ``path`` is of the backup's own database.
    """
    if not path.passes(backup):
        return None
    first, last = (number_of(name, backup.segment_size) for name in (backup.begin_wal, backup.end_wal))
    return next((stretch for stretch in path.stretches if stretch.first <= first and last <= stretch.last), None)


def _contained(paths: Sequence[Path], window: Window) -> bool:
    """Whether one of ``paths`` leaves the window's timeline only after all of it."""
    ways = (path.switch_from(window.timeline) for path in paths)
    return any(left_at is not None and window.end.lsn <= left_at for left_at in ways)


def holes_along(archive: Archive, path: Path) -> Iterator[Hole]:
    """The holes on ``path``, as they come. ``archive`` is of one database."""
    size = archive.segment_size
    starts = {backup: number_of(backup.begin_wal, size) for backup in archive.backups if path.passes(backup)}
    for before, after, end in _gaps(archive, path):
        resuming = (
            backup for backup in archive.backups if starts.get(backup, -1) > before.last and reach(path, backup)
        )
        resumes = next(resuming, None)
        # A segment that holds a switch is missed on the newer timeline.
        ends = [following.first - 1 for following in path.legs[1:]]
        for leg, last_of_leg in zip(path.legs, [*ends, end], strict=True):
            first, last = max(before.last + 1, leg.first), min(end, last_of_leg)
            if first <= last:
                numbers = archive.damaged_segments.get(leg.timeline, ())
                damaged = [archive.name(leg.timeline, number) for number in numbers if first <= number <= last]
                yield Hole(
                    timeline=leg.timeline,
                    first=archive.name(leg.timeline, first),
                    last=archive.name(leg.timeline, last),
                    count=last - first + 1,
                    before=archive.archived(before.timeline, before.last),
                    after=_first_archived(archive, path, after) if after else None,
                    needed=any(start <= before.last for start in starts.values()),
                    resumes=resumes,
                    damaged={name: archive.damaged[name] for name in damaged},
                )


def _gaps(archive: Archive, path: Path) -> Iterator[tuple[Stretch, Stretch | None, int]]:
    """Where ``path`` is broken: the stretch before, the one after, and the number of the last segment in between.
    After the last stretch only a damaged segment tells that there was more.
    """
    for before, after in zip(path.stretches, path.stretches[1:], strict=False):
        yield before, after, after.first - 1
    if path.stretches:
        last = path.stretches[-1]
        damaged = (
            number
            for leg in path.legs
            for number in archive.damaged_segments.get(leg.timeline, ())
            if leg.holds(number) and number > last.last
        )
        if (end := max(damaged, default=None)) is not None:
            yield last, None, end


def _first_archived(archive: Archive, path: Path, stretch: Stretch) -> datetime | None:
    legs = (leg for leg in reversed(path.legs) if leg.holds(stretch.first))
    return next((time for leg in legs if (time := archive.archived(leg.timeline, stretch.first))), None)
