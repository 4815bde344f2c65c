"""The arithmetic of a report's pictures: what happened when, where the RTO went, and the drills before.

Widths are per cent (texts such as ``12.500%``) and heights and letters are pixels, so that on a telephone the bars
shrink and the words do not. The markup is in ``report.html.j2``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from dr.core.plan import Phase
from dr.core.text import bytes_of, seconds_of
from dr.reports.document import RecoveryTime, ReportDocument, SpanLine
from dr.reports.phases import SEEN
from dr.reports.trend import Trend

_ROW, _TOP = 34, 6
_AXIS = 26
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 6
_WIDTH = 96.0
"""Per cent of the picture that the time takes; the rest keeps the last tick's words inside."""
_CHART = 180


@dataclass(frozen=True, kw_only=True)
class Label:
    """``words`` at ``x``; ``anchor`` is SVG's ``text-anchor``."""

    words: str
    x: str
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """``seconds`` of one phase, from ``x`` on."""

    phase: Phase
    x: str
    width: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A span of the timeline: its bar, and above it its name. ``y`` is the upper edge of both."""

    span: SpanLine
    bar: Bar
    name: Label
    y: float


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The rows take ``rows_height`` of ``height``; the ticks' words are below them."""

    height: int
    rows_height: int
    ticks: tuple[Label, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One drill of the chart: when it was, and its seconds and bytes in words."""

    cx: str
    cy: float
    words: str


@dataclass(frozen=True, kw_only=True)
class TrendChart:
    """Seconds against bytes. ``levels`` are heights with what they mean, ``sizes`` the words below the lowest one;
    ``goal`` is a height, ``line`` is (x1, y1, x2, y2); None where there is nothing to show.
    """

    height: int
    levels: tuple[tuple[float, str], ...]
    sizes: tuple[Label, ...]
    sizes_y: float
    dots: tuple[Dot, ...]
    goal: float | None
    line: tuple[str, float, str, float] | None


def timeline(document: ReportDocument) -> Timeline:
    """Each span as a bar at its time, below its name; the ticks are seconds since the beginning."""
    spans = merged(document.spans)
    whole = max(document.seconds, 0.001)
    height = _TOP + len(spans) * _ROW
    return Timeline(
        height=height + _AXIS,
        rows_height=height,
        ticks=tuple(
            Label(words=seconds_of(at) if at else "0", x=_per_cent(at / whole), anchor="middle" if at else "start")
            for at in ticks(whole)
        ),
        rows=tuple(_row(document, span, _TOP + number * _ROW, whole) for number, span in enumerate(spans)),
    )


def merged(spans: tuple[SpanLine, ...]) -> list[SpanLine]:
    """The spans to draw: those of no length are left out, and neighbours of one step and name are one."""
    found: list[SpanLine] = []
    for span in spans:
        if span.seconds < SEEN:
            continue
        last = found[-1] if found else None
        if last and (last.phase, last.what, last.step) == (span.phase, span.what, span.step):
            found[-1] = last.model_copy(update={"seconds": last.seconds + span.seconds})
        else:
            found.append(span)
    return found


def ticks(whole: float) -> list[float]:
    """Where to mark the axis: round numbers of seconds, a handful of them."""
    step = next((step for step in _NICE if whole / step <= _MOST_TICKS), whole / _MOST_TICKS)
    count = int(whole / step)
    return [number * step for number in range(count + 1)]


def _row(document: ReportDocument, span: SpanLine, y: float, whole: float) -> Row:
    begin = (span.started - document.started) / timedelta(seconds=1) / whole
    share = min(span.seconds / whole, 1.0)
    # Words that begin late end at the right edge, so that none run out of the picture.
    late = begin > 0.5
    x = _per_cent(min(begin + share, 1.0)) if late else _per_cent(begin)
    return Row(
        span=span,
        bar=Bar(phase=span.phase, x=_per_cent(begin), width=_per_cent(max(share, 0.004)), seconds=span.seconds),
        name=Label(words=f"{span.what[:1].upper()}{span.what[1:]}", x=x, anchor="end" if late else "start"),
        y=y,
    )


def split_bar(rto: RecoveryTime) -> Iterator[Bar]:
    """The phases of the RTO, one after the other in one bar of the whole width."""
    whole = sum(rto.phases.values()) or 1.0
    at = 0.0
    for phase, seconds in rto.phases.items():
        share = seconds / whole
        yield Bar(phase=phase, x=f"{at * 100:.3f}%", width=f"{share * 100:.3f}%", seconds=seconds)
        at += share


def trend_chart(trend: Trend) -> TrendChart | None:
    """The drills as dots, seconds against bytes, with the line through them and the goal; None without any."""
    if not trend.points:
        return None
    reach = max(point.bytes for point in trend.points) * 1.25 or 1.0
    if trend.limit and trend.limit < reach * 4:
        reach = max(reach, trend.limit * 1.05)
    expected = trend.seconds_for(reach) or 0.0
    highest = max(*(point.seconds for point in trend.points), min(expected, trend.goal * 1.2), 1.0) * 1.15

    def y_of(seconds: float) -> float:
        return _TOP + (1 - min(max(seconds / highest, 0.0), 1.0)) * _CHART

    line = None
    if trend.fixed is not None and trend.per_byte:
        # It ends at the picture's edge, on whichever side.
        end = min(reach, (highest - trend.fixed) / trend.per_byte)
        line = _per_cent(0), y_of(trend.fixed), _per_cent(end / reach), y_of(trend.fixed + trend.per_byte * end)
    return TrendChart(
        height=_TOP + _CHART + _AXIS,
        levels=tuple(
            (y_of(highest * share), seconds_of(highest * share) if share else "") for share in (0.0, 0.5, 1.0)
        ),
        sizes=tuple(
            Label(words=bytes_of(reach * share) if share else "0", x=_per_cent(share), anchor=anchor)
            for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
        ),
        sizes_y=_TOP + _CHART + 16,
        dots=tuple(
            Dot(
                cx=_per_cent(point.bytes / reach),
                cy=y_of(point.seconds),
                words=f"{point.at:%Y-%m-%d %H:%M}: {seconds_of(point.seconds)}, {bytes_of(point.bytes)}",
            )
            for point in trend.points
        ),
        goal=y_of(trend.goal) if trend.goal <= highest else None,
        line=line,
    )


def _per_cent(share: float) -> str:
    return f"{share * _WIDTH:.3f}%"
