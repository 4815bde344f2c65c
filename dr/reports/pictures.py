"""The pictures of a report, as SVG: what happened when, where the RTO went, and the drills before.

Widths are per cent and heights and letters are pixels, so that on a telephone the bars shrink and the words do not.
"""

from collections.abc import Iterator
from datetime import timedelta
from xml.etree.ElementTree import Element, tostring

from dr.core.plan import Phase
from dr.core.text import bytes_of, seconds_of
from dr.reports.document import RecoveryTime, ReportDocument, SpanLine
from dr.reports.phases import SEEN, TITLES
from dr.reports.trend import Trend

_ROW, _BAR, _TOP = 34, 12, 6
_AXIS = 26
_NICE = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_MOST_TICKS = 6
_WIDTH = 96.0
"""Per cent of the picture that the time takes; the rest keeps the last tick's words inside."""
_CHART = 180


def timeline(document: ReportDocument) -> Element:
    """Each span as a bar at its time, below its name; the ticks are seconds since the beginning."""
    spans = merged(document.spans)
    whole = max(document.seconds, 0.001)
    height = _TOP + len(spans) * _ROW
    parts: list[Element] = []
    for at in ticks(whole):
        x = _per_cent(at / whole)
        parts.append(element("line", x1=x, x2=x, y1="0", y2=height, class_="tick"))
        anchor = "start" if at == 0 else "middle"
        parts.append(
            element("text", seconds_of(at) if at else "0", x=x, y=height + 16, class_="tick", text_anchor=anchor)
        )
    for number, span in enumerate(spans):
        parts += _row(document, span, _TOP + number * _ROW, whole)
    return element(
        "svg",
        element("title", "What happened when"),
        *parts,
        class_="timeline",
        width="100%",
        height=height + _AXIS,
        role="img",
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


def _row(document: ReportDocument, span: SpanLine, y: float, whole: float) -> Iterator[Element]:
    begin = (span.started - document.started) / timedelta(seconds=1) / whole
    share = min(span.seconds / whole, 1.0)
    title = element(
        "title", f"{TITLES[span.phase]}: {span.what}, {seconds_of(span.seconds)} from {span.started:%H:%M:%S} UTC"
    )
    name = f"{span.what[:1].upper()}{span.what[1:]}"
    # Words that begin late end at the right edge, so that none run out of the picture.
    late = begin > 0.5
    x = _per_cent(min(begin + share, 1.0)) if late else _per_cent(begin)
    yield element(
        "text",
        name,
        element("tspan", f"  {seconds_of(span.seconds)}", class_="amount"),
        x=x,
        y=y + 12,
        text_anchor="end" if late else None,
    )
    yield element(
        "rect",
        title,
        x=_per_cent(begin),
        y=y + 17,
        width=_per_cent(max(share, 0.004)),
        height=_BAR,
        rx=2,
        class_=f"phase-{span.phase}",
    )


def split_bar(rto: RecoveryTime) -> Element:
    """The phases of the RTO beside each other, in one bar."""
    whole = sum(rto.phases.values()) or 1.0
    parts, at = [], 0.0
    for phase, seconds in rto.phases.items():
        share = seconds / whole
        title = element("title", f"{TITLES[phase]}: {seconds_of(seconds)}")
        width = f"{share * 100:.3f}%"
        parts.append(
            element("rect", title, x=f"{at * 100:.3f}%", y="0", width=width, height=22, class_=f"phase-{phase}")
        )
        at += share
    return element(
        "svg", element("title", "The RTO by phase"), *parts, class_="split", width="100%", height=22, role="img"
    )


def key_of(phase: Phase) -> Element:
    """A square in the phase's colour."""
    return element(
        "svg", element("rect", width=12, height=12, rx=2, class_=f"phase-{phase}"), width=12, height=12, class_="key"
    )


def trend_chart(trend: Trend) -> Element | None:
    """The drills as dots, seconds against bytes, with the line through them and the goal; None without any."""
    if not trend.points:
        return None
    reach = max(point.bytes for point in trend.points) * 1.25 or 1.0
    if trend.limit and trend.limit < reach * 4:
        reach = max(reach, trend.limit * 1.05)
    expected = trend.seconds_for(reach) or 0.0
    highest = max(*(point.seconds for point in trend.points), min(expected, trend.goal * 1.2), 1.0) * 1.15
    show_goal = trend.goal <= highest

    def place(size: float, seconds: float) -> tuple[str, float]:
        return _per_cent(size / reach), _TOP + (1 - min(max(seconds / highest, 0.0), 1.0)) * _CHART

    parts: list[Element] = []
    for share in (0.0, 0.5, 1.0):
        y = _TOP + (1 - share) * _CHART
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="tick"))
        if share:
            parts.append(element("text", seconds_of(highest * share), x="2", y=y + 13, class_="tick"))
        x = _per_cent(share)
        anchor = "start" if share == 0 else "end" if share == 1 else "middle"
        words = "0" if share == 0 else bytes_of(reach * share)
        parts.append(element("text", words, x=x, y=_TOP + _CHART + 16, class_="tick", text_anchor=anchor))
    if show_goal:
        _, y = place(0, trend.goal)
        parts.append(element("line", x1="0", x2="100%", y1=y, y2=y, class_="goal"))
        parts.append(
            element("text", f"goal {seconds_of(trend.goal)}", x="48%", y=y - 4, class_="goal", text_anchor="middle")
        )
    if trend.fixed is not None and trend.per_byte:
        # It ends at the picture's edge, on whichever side.
        end = min(reach, (highest - trend.fixed) / trend.per_byte)
        (x1, y1), (x2, y2) = place(0, trend.fixed), place(end, trend.fixed + trend.per_byte * end)
        parts.append(element("line", x1=x1, x2=x2, y1=y1, y2=y2, class_="line"))
    for point in trend.points:
        cx, cy = place(point.bytes, point.seconds)
        title = element("title", f"{point.at:%Y-%m-%d %H:%M}: {seconds_of(point.seconds)}, {bytes_of(point.bytes)}")
        parts.append(element("circle", title, cx=cx, cy=cy, r=4, class_="point"))
    return element(
        "svg",
        element("title", "RTO against what was recovered"),
        *parts,
        class_="trend",
        width="100%",
        height=_TOP + _CHART + _AXIS,
        role="img",
    )


def _per_cent(share: float) -> str:
    return f"{share * _WIDTH:.3f}%"


Child = str | Element | None


def element(tag: str, *children: Child, **attributes: str | float | None) -> Element:
    """``<tag>`` with its children in order. Attributes that are None are left out; ``class_`` is ``class``, and an
    underscore within a name a hyphen.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else f"{value:g}")
    last: Element | None = None
    for child in children:
        if isinstance(child, str):
            if last is None:
                made.text = (made.text or "") + child
            else:
                last.tail = (last.tail or "") + child
        elif child is not None:
            made.append(child)
            last = child
    return made


def as_html(root: Element) -> str:
    """The whole page."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"
