"""The recoverable window: from when until when a target can be reached, where it cannot in between, and why. Pure.

A recovery needs a completed base backup that ended before the target, and every WAL segment from that backup's begin up
to the first commit after the target. So a window begins where a base backup ends, and ends with the last segment that
follows without a gap. A segment that cannot be replayed is as one that is missing, and one of another database is none.

PostgreSQL takes a missing segment for the end of the archive, and one that it cannot read too. A recovery to a target
behind it fails; one to the end of the WAL ends there and says nothing, and what was committed later is not in it.

While the source lives, its WAL is sealed and the end moves up to now. Once it is dead, or where sealing is left out,
PostgreSQL would replay to the end and give up (``recovery ended before configured recovery target was reached``),
minutes later.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

from dr.archive.contents import Archive, BaseBackup, Catalogue, Path, Stretch
from dr.archive.databases import part_of, parts
from dr.core.commands import ANY_RUN, CommandLines
from dr.core.errors import Problem
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.text import exact_moment_of, rfc3339_of
from dr.core.wal_names import lsn, number_of


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
    that way without a timeline given.
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
        than the given one only by their ID (barman-cloud, ``catalog.go``).
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
    the end of the archive ends with such a one. ``before`` and ``after`` are the times of the objects next to it, None
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
    being asked to; None where its own WAL is not archived.
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


_ON_ITS_WAY = timedelta(minutes=10)
"""CloudNativePG archives several segments at once (``wal.maxParallel``), so a hole at the end may be none yet."""
_END = "the end of the WAL"


def problems_of_holes(
    archive: Archive,
    base: BaseBackup,
    target: RecoveryTarget | None,
    *,
    seen_at: datetime,
    insists: bool = False,
    commands: CommandLines = ANY_RUN,
) -> Iterator[Problem]:
    """A hole between ``base`` and ``target`` that is there to stay, or any behind ``base`` where all that was committed
    is asked for; ``insists`` accepts the latter.
    """
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at):
        return
    code = "wal-unreadable" if hole.damaged else "wal-missing"
    after = f"after base backup {hole.resumes.backup_id}" if hole.resumes else ""
    if _is_before(hole, target, base, archive.segment_size):
        until = f"until {exact_moment_of(hole.before)}" if hole.before else "before it"
        yield Problem(
            code=code,
            cause=f"{missing(hole)}, and the recovery from base backup {base.backup_id} to {target or _END} needs it",
            remedy=f"choose a target {', or '.join(filter(None, (until, after)))}; "
            f"{commands.dr('window')} shows what can be reached",
        )
    elif target is None and not insists:
        yield Problem(
            code=code,
            cause=f"{missing(hole)}: the recovery would end there, and {_lost(hole)} would not be in it",
            remedy="take a base backup, if the database still answers: a recovery from that does without; or put the "
            "object back as it was (from the bucket's versions, or soft delete)",
        )


def warnings_of_holes(
    archive: Archive, base: BaseBackup, target: RecoveryTarget | None, *, seen_at: datetime
) -> Iterator[str]:
    """A hole after ``base`` of which it is not certain that it stops the recovery, or that nobody would hear of."""
    hole = _first_hole(archive, base, target)
    if hole is None or not settled(hole, seen_at):
        return
    match target:
        case None:
            yield f"{missing(hole)}: the recovery will end there, and {_lost(hole)} will not be in it."
        case XidTarget() | NameTarget():
            yield f"{missing(hole)}: if {target} lies behind it, the recovery will fail and say so."
        case TimeTarget() | LsnTarget() | ImmediateTarget():
            pass
        case _:
            assert_never(target)


def problems_of_base_wal(
    archive: Archive,
    base: BaseBackup,
    target: RecoveryTarget | None,
    *,
    seen_at: datetime,
    coming: bool,
    commands: CommandLines = ANY_RUN,
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
            cause=f"base backup {base.backup_id} is not a start for timeline {timeline}, which had left timeline "
            f"{base.timeline} before it ended",
            remedy=f"with pitr: {ways[0]}" if ways else f"{commands.dr('window')} shows what can be reached",
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
        remedy=f"{commands.dr('window')} shows what can be reached; if the database still answers, wait until it has "
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
    match target:
        case TimeTarget():
            # All that was committed before the hole was committed by the time its last segment was archived.
            return hole.before is not None and hole.before < target.time
        case LsnTarget():
            return first * size <= target.lsn
        case XidTarget() | NameTarget() | ImmediateTarget() | None:
            return False
        case _:
            assert_never(target)


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
    return f"what was committed after {exact_moment_of(hole.before)}" if hole.before else "what was committed after it"


def problems_of_base(
    catalogue: Catalogue, target: RecoveryTarget, archive: Archive | None = None, *, commands: CommandLines = ANY_RUN
) -> Iterator[Problem]:
    """What is wrong with ``target``, given the backups of ``catalogue``, of which there is at least one. ``archive`` is
    all that the bucket has next to them, None where it was not read.
    """
    base = catalogue.base_for(target)
    if archive is not None and target.timeline and target.timeline not in archive.timelines:
        known = ", ".join(map(str, archive.timelines))
        yield Problem(
            code="timeline-missing",
            cause=f"there is no timeline {target.timeline} in the archive of {archive.server_name}",
            remedy=f"give one of: {known}; or leave --timeline out, to follow the newest",
        )
    elif target.backup_id is not None:
        incomplete = {backup.backup_id: backup.why for backup in archive.incomplete} if archive else {}
        yield from _problems_of_named(catalogue, target, base, incomplete.get(target.backup_id), commands)
    elif base is None:
        yield from _problems_of_choice(catalogue, target, commands)


def _problems_of_named(
    catalogue: Catalogue,
    target: RecoveryTarget,
    base: BaseBackup | None,
    incomplete: str | None,
    commands: CommandLines,
) -> Iterator[Problem]:
    newest = ", ".join(backup.backup_id for backup in reversed(catalogue.backups[-5:]))
    if base is None and incomplete is not None:
        yield Problem(
            code="backup-incomplete",
            cause=f"base backup {target.backup_id} of {catalogue.server_name} is not usable: {incomplete}",
            remedy=f"give one of: {newest}; or, if it runs still, wait for its end",
        )
    elif base is None:
        yield Problem(
            code="backup-missing",
            cause=f"there is no completed base backup {target.backup_id} of {catalogue.server_name}",
            remedy=f"give one of: {newest}; {commands.dr('window')} lists them all",
        )
    else:
        match target:
            case TimeTarget() if base.end > target.time:
                yield _later(base, target, exact_moment_of(base.end), commands)
            case LsnTarget() if base.end_lsn > target.lsn:
                yield _later(base, target, f"LSN {lsn(base.end_lsn)}", commands)
            case TimeTarget() | LsnTarget() | XidTarget() | NameTarget() | ImmediateTarget():
                pass
            case _:
                assert_never(target)


def _later(base: BaseBackup, target: RecoveryTarget, end: str, commands: CommandLines) -> Problem:
    return Problem(
        code="backup-after-target",
        cause=f"base backup {base.backup_id} ended at {end}, after the target {target}: a recovery "
        "cannot go backwards from it",
        remedy=f"leave --backup-id out, or give the ID of an earlier one; {commands.dr('window')} lists them",
    )


def _problems_of_choice(catalogue: Catalogue, target: RecoveryTarget, commands: CommandLines) -> Iterator[Problem]:
    there = [backup for backup in catalogue.backups if target.timeline in (None, backup.timeline)]
    if not there:
        yield Problem(
            code="no-backup-on-timeline",
            cause=f"no base backup was taken on timeline {target.timeline}: CloudNativePG takes others only by ID",
            remedy="add --backup-id of one that was taken before that timeline began; "
            f"{commands.dr('window')} lists them",
        )
        return
    first = there[0]
    match target:
        case LsnTarget():
            cause = f"the target {target} is not after the end of the first base backup, LSN {lsn(first.end_lsn)}"
            remedy = f"choose a target after {lsn(first.end_lsn)}"
        case TimeTarget() | XidTarget() | NameTarget() | ImmediateTarget():
            cause = f"the target {target} is before the first base backup ended, {exact_moment_of(first.end)}"
            remedy = f"choose a target from {rfc3339_of(first.end)} on"
        case _:
            assert_never(target)
    yield Problem(code="target-before-first-backup", cause=cause, remedy=remedy)


def problems_of_end(
    archive: Archive,
    base: BaseBackup,
    target: RecoveryTarget | None,
    *,
    alive: bool = False,
    commands: CommandLines = ANY_RUN,
) -> Iterator[Problem]:
    """That ``target`` lies behind all that a recovery from ``base`` can reach. ``alive`` says that the source could
    still archive its newest WAL.
    """
    window = window_of(archive, base, target.timeline if target else None)
    if target is None or window is None:
        return
    end = window.end
    match target:
        case TimeTarget() if end.archived is not None and target.time >= end.archived:
            nearest = f"before {rfc3339_of(end.archived)}"
            yield _problem(end, f"and the target {target} is later", nearest, commands, alive=alive)
        case LsnTarget() if target.lsn > end.lsn:
            yield _problem(
                end, f"and the target {target} is behind its end", f"up to LSN {lsn(end.lsn)}", commands, alive=alive
            )
        case TimeTarget() | LsnTarget() | XidTarget() | NameTarget() | ImmediateTarget():
            pass
        case _:
            assert_never(target)


def _problem(end: End, why: str, nearest: str, commands: CommandLines, *, alive: bool) -> Problem:
    when = f" at {exact_moment_of(end.archived)}" if end.archived else ""
    because = "the source's primary does not answer, so no more of its WAL can be archived"
    remedy = (
        f"choose a target {nearest} (the last commit may be earlier still), or take all there is: "
        f"{commands.dr('latest')}"
    )
    if alive:
        because = "with --skip-seal the newest WAL is not archived first"
        remedy = f"leave --skip-seal out, or choose a target {nearest} (the last commit may be earlier still)"
    return Problem(
        code="target-after-archive",
        cause=f"{because}; the last segment, {end.segment}, was archived{when}, {why}",
        remedy=remedy,
    )
