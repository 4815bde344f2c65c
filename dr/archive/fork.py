"""Where the histories of two databases part, by their timelines. Pure.

A timeline's number says little: each recovery from one archive begins the next number, so that two recovered databases
may both call theirs 2. What one has and the other has not begins at the last position that both histories share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dr.archive.contents import Switch


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """The timelines that a database has been on: ``history``, the oldest switch first, and ``current``, where it is."""

    history: tuple[Switch, ...]
    current: int

    def from_position(self, timeline: int, position: int) -> tuple["Stretch", ...]:
        """Its WAL behind ``position``, in bytes, of ``timeline``, oldest first; empty where it never was there."""
        timelines = [*(switch.parent for switch in self.history), self.current]
        if timeline not in timelines:
            return ()
        first = timelines.index(timeline)
        begins = [position, *(switch.lsn for switch in self.history[first:])]
        ends = [*(switch.lsn for switch in self.history[first:]), None]
        return tuple(
            Stretch(timeline=number, begin=begin, end=end)
            for number, begin, end in zip(timelines[first:], begins, ends, strict=True)
            if end is None or begin < end
        )


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """WAL of ``timeline`` from ``begin`` to ``end``, in bytes; ``end`` is None where it is open."""

    timeline: int
    begin: int
    end: int | None


@dataclass(frozen=True, kw_only=True)
class Fork:
    """The last position, in bytes, that two databases share, and its timeline."""

    timeline: int
    lsn: int


def fork(left: Lineage, other: Lineage, *, related: bool) -> Fork | None:
    """Where the history of ``left`` leaves that of ``other``; None where they share no timeline, or part where the WAL
    of neither says: they were both made from one base backup and wrote on the timeline that it is of.

    ``related`` says that one of them is known to be recovered from the other, or from what was recovered from it.
    Where it is not, a timeline that one of them has begun counts as its own, whatever number the other's has.
    """
    shared: Fork | None = None
    for mine, theirs in zip(_ends(left), _ends(other), strict=False):
        if mine.timeline != theirs.timeline:
            break
        if mine.end is None and theirs.end is None:
            break  # each is a primary on a timeline of its own
        begun_by_one = (mine.end is None or theirs.end is None) and mine.timeline != 1
        if begun_by_one and not related:
            break
        ends = [end for end in (mine.end, theirs.end) if end is not None]
        shared = Fork(timeline=mine.timeline, lsn=min(ends))
        if mine.end != theirs.end:
            break
    return shared


def _ends(lineage: Lineage) -> Sequence[Stretch]:
    first = lineage.history[0].parent if lineage.history else lineage.current
    return lineage.from_position(first, 0)
