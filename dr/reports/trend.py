"""What past drills say of the next disaster: how the RTO grows with what there is to recover, and that with time.

Two straight lines, as simple as the data allows: seconds against bytes (base backup and WAL together), and bytes
against days. Where they meet the goal is when it will be missed, if nothing changes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import StatisticsError, linear_regression, median

from dr.core.text import bytes_of, seconds_of
from dr.reports.document import ReportDocument

_ENOUGH = 3
_SPREAD = 1.05
"""How much the largest has to differ from the smallest before a line through them means anything."""
_AHEAD = timedelta(days=90)
_NEAR = 0.8
_DAY = 86400.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """One drill: when, how many bytes it recovered, and how many seconds it took."""

    at: datetime
    bytes: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Trend:
    """``points`` are the drills that passed, oldest first. An RTO of ``fixed`` seconds and ``per_byte`` for each byte
    fits them; the bytes grow by ``daily``; None where there is not enough to say. ``missed`` is when the goal will be
    missed, None where that is not in sight.
    """

    points: tuple[Point, ...]
    goal: float
    fixed: float | None = None
    per_byte: float | None = None
    daily: float | None = None
    missed: datetime | None = None

    def seconds_for(self, size: float) -> float | None:
        """The RTO that is expected for so many bytes."""
        if self.fixed is None or self.per_byte is None:
            return None
        return self.fixed + self.per_byte * size

    @property
    def limit(self) -> float | None:
        """With how many bytes the goal is just reached."""
        if self.fixed is None or not self.per_byte or self.fixed >= self.goal:
            return None
        return (self.goal - self.fixed) / self.per_byte

    def warnings(self, now: datetime) -> Iterator[str]:
        """What should be known before the goal is missed."""
        if not self.points:
            return
        last = self.points[-1]
        if last.seconds > self.goal:
            yield f"the last RTO, {seconds_of(last.seconds)}, misses the goal of {seconds_of(self.goal)}"
        elif last.seconds > self.goal * _NEAR:
            yield f"the last RTO, {seconds_of(last.seconds)}, is near the goal of {seconds_of(self.goal)}"
        elif self.missed is not None and self.missed - now < _AHEAD:
            when = f"about {self.missed:%Y-%m-%d}" if self.missed > now else "any day now"
            yield (
                f"as the data grows ({bytes_of(self.daily or 0)} a day), the goal of {seconds_of(self.goal)} will be "
                f"missed {when}, at {bytes_of(self.limit or 0)}: take base backups more often, or make it faster"
            )

    @property
    def sentence(self) -> str:
        """What there is to say, for people."""
        if not self.points:
            return "no drill has passed yet"
        count = f"{len(self.points)} drill{'' if len(self.points) == 1 else 's'}"
        middle = seconds_of(median(point.seconds for point in self.points))
        if self.fixed is None or self.per_byte is None:
            return f"{count}, an RTO of {middle} in the middle; too few, or too alike, to extrapolate"
        fixed = f"{seconds_of(self.fixed)}, and " if self.fixed else ""
        told = f"{count}: {fixed}{seconds_of(self.per_byte * 2**30)} for each GiB"
        if self.limit:
            told += f"; the goal of {seconds_of(self.goal)} is reached with {bytes_of(self.limit)}"
        return told


def trend_of(documents: Sequence[ReportDocument], *, goal: float) -> Trend:
    """The trend over the drills among ``documents``; ``goal`` is in seconds."""
    points = tuple(_points(documents))
    pairs = [(float(point.bytes), point.seconds) for point in points]
    line = _line(pairs)
    if line is not None and line[1] < 0:
        # Nothing takes less than no time: the line that fits best from nothing on.
        line = linear_regression(*zip(*pairs, strict=True), proportional=True).slope, 0.0
    if line is None or line[0] <= 0:
        return Trend(points=points, goal=goal)
    per_byte, fixed = line
    found = Trend(points=points, goal=goal, fixed=fixed, per_byte=per_byte)
    first = points[0].at
    growth = _line([((point.at - first).total_seconds() / _DAY, point.bytes) for point in points])
    if growth is None or growth[0] <= 0 or found.limit is None:
        return found
    daily, begin = growth
    days = (found.limit - begin) / daily
    missed = first + timedelta(days=days) if 0 <= days < 3650 else None
    return Trend(points=points, goal=goal, fixed=fixed, per_byte=per_byte, daily=daily, missed=missed)


def _points(documents: Sequence[ReportDocument]) -> Iterator[Point]:
    for document in sorted(documents, key=lambda document: document.started):
        sizes, rto = document.sizes, document.rto
        if document.operation == "drill" and document.outcome == "done" and sizes and rto:
            amount = (sizes.base_backup_bytes or 0) + sizes.wal_segments * sizes.wal_segment_bytes
            yield Point(at=document.started, bytes=amount, seconds=rto.seconds)


def _line(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Slope and intercept, or None where the points say nothing of them."""
    xs = [x for x, _ in pairs]
    if len(pairs) < _ENOUGH or max(xs) < min(xs) * _SPREAD:
        return None
    try:
        slope, intercept = linear_regression(xs, [y for _, y in pairs])
    except StatisticsError:
        return None
    return slope, intercept
