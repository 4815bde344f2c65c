"""Whether a recovery would be done in time, what takes longest in it, and how often base backups keep it so. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from dr.archive.contents import Archive
from dr.cnpg.fetch_ahead import segments_to_replay
from dr.config.environment import Environment
from dr.core.text import format_duration
from dr.health.check import Check, State, Unavailable, graded, worst
from dr.health.snapshot import HealthSnapshot
from dr.reports.rto import Coefficients, Prediction, interval_within, predict

_DAY = timedelta(days=1)
_LOOKED_AT = timedelta(days=7)
_LEAST = timedelta(hours=1)
"""A rate out of less than this would be chance."""


@dataclass(frozen=True, kw_only=True)
class RtoOutlook:
    """What a recovery would take ``now``, and at ``worst``: right before the next base backup, ``interval`` after the
    last. ``keeps`` is the interval that just keeps the goal, None when any does.
    """

    coefficients: Coefficients
    base_bytes: int
    segments: int
    segments_per_day: float
    interval: timedelta
    now: Prediction
    worst: Prediction
    keeps: timedelta | None

    def as_json(self) -> Mapping[str, object]:
        """As values; times in seconds."""
        return {
            "coefficients": {
                "from": self.coefficients.origin,
                "basePerGiB": self.coefficients.base_per_gib,
                "perSegment": self.coefficients.per_segment,
            },
            "baseBackupBytes": self.base_bytes,
            "segments": self.segments,
            "segmentsPerDay": round(self.segments_per_day, 1),
            "now": {"seconds": round(self.now.seconds, 1), "parts": dict(self.now.parts)},
            "worst": {"seconds": round(self.worst.seconds, 1), "parts": dict(self.worst.parts)},
            "dominant": self.worst.dominant,
            "baseBackupInterval": self.interval.total_seconds(),
            "baseBackupIntervalThatKeepsTheGoal": self.keeps.total_seconds() if self.keeps is not None else None,
        }


def outlook(snapshot: HealthSnapshot, environment: Environment) -> RtoOutlook | None:
    """The prediction; None when there is no base backup to recover from, or the bucket was not seen."""
    seen = snapshot.archive
    if isinstance(seen, Unavailable) or seen.archive is None or not seen.archive.backups:
        return None
    archive, coefficients = seen.archive, snapshot.coefficients
    newest = archive.backups[-1]
    size = newest.size or _size(snapshot, newest.backup_id)
    segments = segments_to_replay(archive, archive.backups[-1])
    rate = _segments_per_day(archive, snapshot.seen_at)
    # A base backup that is late already is no better than one that is due.
    interval = max(_usual_interval(archive), snapshot.seen_at - newest.end)
    most = max(segments, round(rate * (interval / _DAY)))
    goal = timedelta(minutes=environment.goals.rto_minutes)
    return RtoOutlook(
        coefficients=coefficients,
        base_bytes=size,
        segments=segments,
        segments_per_day=rate,
        interval=interval,
        now=predict(coefficients, base_bytes=size, segments=segments),
        worst=predict(coefficients, base_bytes=size, segments=most),
        keeps=interval_within(goal, coefficients, base_bytes=size, segments_per_day=rate),
    )


def checks_of_rto(snapshot: HealthSnapshot, environment: Environment) -> Iterator[Check]:
    """The check ``rto``."""
    name, seen = "rto", snapshot.archive
    if isinstance(seen, Unavailable):
        yield seen.as_check(name)
        return
    found = outlook(snapshot, environment)
    if found is None:
        yield Check(
            name=name, state=State.CRITICAL, message="there is nothing to recover from", remedy="take a base backup now"
        )
        return
    goal, limits = environment.goals.rto_minutes * 60, environment.health.rto_percent
    state = worst(graded(100 * one.seconds / goal, limits) for one in (found.now, found.worst))
    keeps = "any interval of base backups" if found.keeps is None else f"one every {format_duration(found.keeps)}"
    yield Check(
        name=name,
        state=state,
        message=f"a recovery would take {format_duration(found.now.seconds)} now "
        f"and {format_duration(found.worst.seconds)} right before "
        f"the next base backup, {_share(found.worst)} of it {found.worst.dominant}; "
        f"{keeps} keeps {format_duration(goal)} "
        f"({found.coefficients.origin})",
        remedy=""
        if state is State.OK
        else f"take base backups more often: every {format_duration(found.keeps)}"
        if found.keeps
        else "the base backup alone takes too long: faster disks, or a replica to fail over to",
        values={
            "rto_predicted_seconds": round(found.now.seconds, 3),
            "rto_predicted_worst_seconds": round(found.worst.seconds, 3),
            "wal_segments_since_base_backup": found.segments,
            "wal_segments_per_day": round(found.segments_per_day, 3),
        },
    )


def _size(snapshot: HealthSnapshot, backup_id: str) -> int:
    """What barman did not write down, as it does not with an object store: the database's own size, else the bytes in
    the bucket, which may be compressed.
    """
    if not isinstance(snapshot.database, Unavailable):
        return snapshot.database.size
    return 0 if isinstance(snapshot.objects, Unavailable) else snapshot.objects.get(backup_id, 0)


def _share(prediction: Prediction) -> str:
    return f"{100 * prediction.parts[prediction.dominant] / prediction.seconds:.0f} %"


def _segments_per_day(archive: Archive, now: datetime) -> float:
    """How many segments were archived a day, of late."""
    times = [time for name in archive.files if len(name) == 24 and (time := archive.files[name])]
    recent = [time for time in times if now - time <= _LOOKED_AT]
    if not recent:
        return 0.0
    span = max(now - min(recent), _LEAST)
    return len(recent) / (span / _DAY)


def _usual_interval(archive: Archive) -> timedelta:
    """Between the last two base backups that were not made on the same occasion; a day when that is not known."""
    ends = [backup.end for backup in archive.backups]
    gaps = [later - earlier for earlier, later in pairwise(ends)]
    long = [gap for gap in gaps if gap > _LEAST]
    return long[-1] if long else _DAY
