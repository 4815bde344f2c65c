"""The archive along time, as lines of characters: one row a timeline. Readable without colour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dr.archive.contents import Archive
from dr.archive.window import Hole, Window

LEGEND = "● base backup  ○ unfinished one  ━ recoverable  ─ archived only  ! hole  ▶ end"

_LABEL = 12
_CLOCK = "%Y-%m-%d %H:%M"


@dataclass(frozen=True, kw_only=True)
class _Axis:
    begin: datetime
    end: datetime
    columns: int

    def column(self, time: datetime) -> int:
        """The column of ``time``, within the picture."""
        share = (time - self.begin) / (self.end - self.begin) if self.end > self.begin else 0.0
        return round(min(1.0, max(0.0, share)) * (self.columns - 1))


def picture(archive: Archive, windows: Sequence[Window], holes: Sequence[Hole], *, width: int) -> list[str]:
    """The picture in at most ``width`` columns; no line where the store tells no times or nothing is there."""
    times = [
        *(time for time in archive.files.values() if time),
        *(time for backup in archive.backups for time in (backup.begin, backup.end)),
        *(backup.begin for backup in archive.incomplete if backup.begin),
    ]
    if not times:
        return []
    axis = _Axis(begin=min(times), end=max(times), columns=max(width - _LABEL, 2))
    rows = {timeline: [" "] * axis.columns for timeline in archive.timelines}
    for stretch in archive.stretches:
        first = archive.archived(stretch.timeline, stretch.first)
        last = archive.archived(stretch.timeline, stretch.last)
        _fill(rows[stretch.timeline], axis, first, last, "─")
    for window in windows:
        _draw_window(archive, window, rows, axis)
    for hole in holes:
        _draw_hole(hole, rows[hole.timeline], axis)
    for window in windows:
        if window.end.archived:
            rows[_last_row(archive, window)][axis.column(window.end.archived)] = "▶"
    for unfinished in archive.incomplete:
        if unfinished.begin:
            rows[archive.timelines[-1]][axis.column(unfinished.begin)] = "○"
    for backup in archive.backups:
        rows[backup.timeline][axis.column(backup.end)] = "●"
    left, right = f"{axis.begin:{_CLOCK}}", f"{axis.end:{_CLOCK}} UTC"
    between = axis.columns - len(left) - len(right)
    heading = f"{left}{' ' * between}{right}" if between > 0 else left[: axis.columns]
    drawn = [f"timeline {timeline}".ljust(_LABEL) + "".join(row) for timeline, row in rows.items()]
    return [line.rstrip() for line in [" " * _LABEL + heading, *drawn]]


def _draw_window(archive: Archive, window: Window, rows: dict[int, list[str]], axis: _Axis) -> None:
    """Along the window's path, each timeline's part in its own row."""
    path = archive.path(window.timeline)
    time = window.start
    for leg in path.legs:
        numbers = [number for number in archive.segments.get(leg.timeline, ()) if leg.holds(number)]
        reached = [number for number in numbers if (number + 1) * archive.segment_size <= window.end.lsn]
        until = archive.archived(leg.timeline, reached[-1]) if reached else None
        if until and until > time:
            _fill(rows[leg.timeline], axis, time, until, "━")
            time = until


def _draw_hole(hole: Hole, row: list[str], axis: _Axis) -> None:
    if hole.before is None or hole.after is None:
        return
    first, last = axis.column(hole.before) + 1, axis.column(hole.after) - 1
    for column in range(first, max(first, last) + 1):
        if column < len(row):
            row[column] = "!"


def _last_row(archive: Archive, window: Window) -> int:
    """The timeline of the segment that a window ends with."""
    return next((t for t in archive.timelines if window.end.segment.startswith(f"{t:08X}")), window.timeline)


def _fill(row: list[str], axis: _Axis, first: datetime | None, last: datetime | None, mark: str) -> None:
    if first is not None and last is not None:
        for column in range(axis.column(first), axis.column(last) + 1):
            row[column] = mark
