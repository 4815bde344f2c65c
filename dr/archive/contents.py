"""What the bucket holds of one serverName: base backups, WAL and timelines, and what a recovery could read of them.

PostgreSQL follows one timeline back through its history file: up to each switch it reads the older timeline's segments,
from the segment that holds the switch on the newer one's (``timeline.c`` and ``xlogrecovery.c``). Such a way is a
:class:`Path` here; what lies on it without a gap is a :class:`Stretch`.

CloudNativePG makes the same choice inside the recovery Job, where a wrong target shows only as a failed pod. Making it
here first turns that into a sentence before anything is touched.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from dr.core.errors import Problem
from dr.core.target import RecoveryTarget
from dr.core.wal_names import DEFAULT_SEGMENT_SIZE, is_segment, name_of, number_of, timeline_of


@dataclass(frozen=True, kw_only=True)
class BaseBackup:
    """A completed base backup. ``begin`` and ``end`` are aware UTC; ``begin_lsn`` and ``end_lsn`` are positions in the
    WAL, in bytes; ``size`` is in bytes, None where not recorded; ``segment_size`` is that of the server's WAL segments;
    ``major`` is PostgreSQL's major version, None where not recorded; ``system_id`` is the system identifier of the
    database that it is of, empty where not recorded.
    """

    backup_id: str
    begin: datetime
    end: datetime
    timeline: int
    begin_wal: str
    end_wal: str
    begin_lsn: int
    end_lsn: int
    size: int | None
    segment_size: int
    major: int | None = None
    system_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What the object store holds for one serverName, oldest backup first.

    ``server_names`` are the folders found next to it, each with whether it holds anything.
    """

    server_name: str
    backups: tuple[BaseBackup, ...]
    server_names: frozenset[str]

    @property
    def first_recoverable(self) -> datetime | None:
        """The earliest reachable moment: the end of the oldest base backup."""
        return self.backups[0].end if self.backups else None

    def base_for(self, target: RecoveryTarget | None) -> BaseBackup | None:
        """The backup that CloudNativePG takes (barman-cloud's ``catalog.go``): the one that is named, else the newest
        that had ended by a time or before an LSN, of the target's timeline where it is numbered; the newest of all for
        the end of the WAL. None when there is none such.
        """
        return max(self._possible(target), key=lambda backup: backup.end, default=None)

    def _possible(self, target: RecoveryTarget | None) -> Iterator[BaseBackup]:
        for backup in self.backups:
            if target is None:
                yield backup
            elif target.backup_id is not None:
                if backup.backup_id == target.backup_id:
                    yield backup
            elif target.timeline in (None, backup.timeline) and target.begins_from(backup.end, backup.end_lsn):
                yield backup


@dataclass(frozen=True, kw_only=True)
class IncompleteBackup:
    """A base backup that cannot be used. ``why`` is in words; ``begin`` is aware UTC, None where not known."""

    backup_id: str
    why: str
    begin: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Switch:
    """One line of a history file: the timeline that was left, and the position where."""

    parent: int
    lsn: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Leg:
    """The part of a path that lies on one timeline, by segment numbers; ``last`` is None on its newest timeline."""

    timeline: int
    first: int
    last: int | None

    def holds(self, number: int) -> bool:
        """Whether the segment ``number`` is read on this leg."""
        return self.first <= number and (self.last is None or number <= self.last)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Archived segments without a gap, by number. ``timeline`` is the last one's."""

    timeline: int
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many segments these are."""
        return self.last - self.first + 1


@dataclass(frozen=True, kw_only=True)
class Path:
    """The way to ``timeline``: its legs oldest first, and the stretches of archived segments along it."""

    timeline: int
    legs: tuple[Leg, ...]
    stretches: tuple[Stretch, ...]
    switches: tuple[Switch, ...]

    def switch_from(self, timeline: int) -> int | None:
        """The position at which this path leaves ``timeline``, None where it stays on it or never is on it."""
        return next((switch.lsn for switch in self.switches if switch.parent == timeline), None)

    def timelines_at(self, number: int) -> Iterator[int]:
        """The timelines that the segment ``number`` may be read on, the newest first: the one that holds a switch lies
        on both, and PostgreSQL asks for the newer one's.
        """
        return (leg.timeline for leg in reversed(self.legs) if leg.holds(number))

    def passes(self, backup: BaseBackup) -> bool:
        """Whether ``backup`` lies on this path: it ended on its timeline before the path leaves that."""
        left_at = self.switch_from(backup.timeline)
        return backup.timeline == self.timeline if left_at is None else backup.end_lsn <= left_at


@dataclass(frozen=True, kw_only=True)
class Archive:
    """What one serverName holds, as it was listed.

    ``backups`` are the completed ones, oldest first. ``files`` maps the names of WAL files, without a compression's
    suffix, to the time of their objects (aware UTC, None where the store does not tell). ``histories`` maps a timeline
    to its switches, oldest first; ``unreadable`` are the timelines whose history file could not be read, with why.
    ``unknown`` are the names of objects that seem to be WAL, in a form that barman does not read.

    ``damaged`` are the segments that are there and cannot be replayed, with why: they count as missing. ``read`` are
    those whose first page was looked at, with the system identifier in it, and ``unasked`` those for which that failed;
    of all others only the size of their objects is known.
    """

    server_name: str
    backups: tuple[BaseBackup, ...]
    incomplete: tuple[IncompleteBackup, ...]
    files: Mapping[str, datetime | None]
    histories: Mapping[int, tuple[Switch, ...]]
    unreadable: Mapping[int, str]
    unknown: tuple[str, ...] = ()
    damaged: Mapping[str, str] = field(default_factory=dict)
    read: Mapping[str, str] = field(default_factory=dict)
    unasked: Mapping[str, Problem] = field(default_factory=dict)

    @property
    def blank(self) -> bool:
        """Whether nothing in it is of a base backup or of WAL: its folder may be anybody's."""
        return not (self.backups or self.incomplete or self.files or self.unknown)

    @cached_property
    def segment_size(self) -> int:
        """In bytes, as the newest base backup says."""
        return self.backups[-1].segment_size if self.backups else DEFAULT_SEGMENT_SIZE

    @cached_property
    def segments(self) -> Mapping[int, tuple[int, ...]]:
        """The numbers of the archived segments of each timeline, in order; without those that are damaged."""
        return self._numbers(name for name in self.files if is_segment(name) and name not in self.damaged)

    @cached_property
    def damaged_segments(self) -> Mapping[int, tuple[int, ...]]:
        """The numbers of the damaged segments of each timeline, in order."""
        return self._numbers(self.damaged)

    def _numbers(self, names: Iterable[str]) -> Mapping[int, tuple[int, ...]]:
        found: dict[int, set[int]] = {}
        for name in names:
            found.setdefault(timeline_of(name), set()).add(number_of(name, self.segment_size))
        return {timeline: tuple(sorted(found[timeline])) for timeline in sorted(found)}

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The archived segments of each timeline for itself."""
        return tuple(stretch for timeline in self.segments for stretch in self._stretches(timeline))

    @cached_property
    def timelines(self) -> tuple[int, ...]:
        """Every timeline that anything tells of."""
        known = {*self.segments, *self.damaged_segments, *self.histories, *self.unreadable}
        return tuple(sorted(known | {backup.timeline for backup in self.backups}))

    def newest_timeline(self, start: int) -> int:
        """The timeline that PostgreSQL follows unasked from a base backup on ``start``: it looks for the history
        files of the next ones, one after the other (``findNewestTimeLine``).
        """
        while start + 1 in self.histories or start + 1 in self.unreadable:
            start += 1
        return start

    def path(self, timeline: int) -> Path:
        """The way to ``timeline``."""
        switches = self.histories.get(timeline, ())
        legs, first = [], 0
        following = [*(switch.parent for switch in switches[1:]), timeline]
        for switch, after in zip(switches, following, strict=False):
            start = switch.lsn // self.segment_size
            # The older timeline's copy of the segment that holds the switch does not stand in for a damaged one: of two
            # that are there PostgreSQL takes the newer one's.
            hidden = start in self.damaged_segments.get(after, ())
            last = start - 1 if hidden else (switch.lsn - 1) // self.segment_size
            legs.append(Leg(timeline=switch.parent, first=first, last=last))
            first = start
        legs.append(Leg(timeline=timeline, first=first, last=None))
        return Path(
            timeline=timeline, legs=tuple(legs), stretches=tuple(_joined(self._pieces(legs))), switches=switches
        )

    def name(self, timeline: int, number: int) -> str:
        """The name of a segment."""
        return name_of(timeline, number, self.segment_size)

    def archived(self, timeline: int, number: int) -> datetime | None:
        """The time of a segment's object."""
        return self.files.get(self.name(timeline, number))

    def _stretches(self, timeline: int) -> Iterator[Stretch]:
        numbers = self.segments.get(timeline, ())
        first = previous = None
        for number in numbers:
            if previous is None or first is None:
                first = number
            elif number != previous + 1:
                yield Stretch(timeline=timeline, first=first, last=previous)
                first = number
            previous = number
        if first is not None and previous is not None:
            yield Stretch(timeline=timeline, first=first, last=previous)

    def _pieces(self, legs: list[Leg]) -> Iterator[Stretch]:
        for leg in legs:
            for stretch in self._stretches(leg.timeline):
                first = max(stretch.first, leg.first)
                last = stretch.last if leg.last is None else min(stretch.last, leg.last)
                if first <= last:
                    yield Stretch(timeline=leg.timeline, first=first, last=last)


def _joined(pieces: Iterator[Stretch]) -> Iterator[Stretch]:
    """Pieces that touch or overlap, as one; overlapping is the segment that holds a switch, which both sides have."""
    current: Stretch | None = None
    for piece in sorted(pieces, key=lambda piece: (piece.first, piece.timeline)):
        if current is None:
            current = piece
        elif piece.first > current.last + 1:
            yield current
            current = piece
        elif piece.last >= current.last:
            current = Stretch(timeline=piece.timeline, first=current.first, last=piece.last)
    if current is not None:
        yield current
