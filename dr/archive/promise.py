"""Where a recovery has to end, and where it did: the one is written down before it begins, the other is read from it.

PostgreSQL takes a ``restore_command`` that fails for the end of the archive, and promotes without an error where it has
no target (``RestoreArchivedFile`` in ``xlogarchive.c``). So that a recovery has come to its end proves nothing: the
position at which its new timeline left the old one does. PostgreSQL writes that position into the new timeline's
history file, with the reason why it stopped there (``getRecoveryStopReason`` in ``xlogrecovery.c``).
"""

import re
from collections.abc import Iterable, Sequence
from typing import assert_never

from pydantic import BaseModel, ConfigDict

from dr.archive.contents import Archive, BaseBackup, Switch
from dr.archive.window import Window, window_of
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.wal_names import lsn, name_of, position_of, timeline_of

_LINE = re.compile(r"(\d+)\s+([0-9A-F]+/[0-9A-F]+)\s*(.*)", re.IGNORECASE)
_CUT_RECORD = 2**20
"""By how much the end of the archived WAL may be missed, in bytes: a record that continues in a segment that was never
archived is not replayed. As a rule a record has at most 32 pages of 8 KiB, and what describes them."""

END_OF_WAL = "end of the WAL"
"""The finding of a recovery without a target: how far it came, against how far it had to."""
NOT_COMPARED = "not compared: how far its recovery had to reach is not known"
"""What is said of a recovered Cluster in place of "verified", for people."""


class Promise(BaseModel):
    """Where a recovery has to end: at or behind the position ``lsn``, in bytes, of ``timeline``.

    ``segment_size`` is that of its segments, in bytes; ``why`` says what the position is, for people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeline: int
    lsn: int
    segment_size: int
    why: str

    def ends_in(self, history: Sequence[Switch]) -> tuple[Switch, ...]:
        """Where the recovery with this ``history`` left the promise's timeline, and what came after that: the source or
        the recovered database may have failed over meanwhile. Empty where it never was on that timeline.
        """
        timelines = [switch.parent for switch in history]
        return tuple(history[timelines.index(self.timeline) :]) if self.timeline in timelines else ()

    def segment_at(self, position: int) -> str:
        """The name of the segment that PostgreSQL reads at ``position``, in bytes."""
        return name_of(self.timeline, position // self.segment_size, self.segment_size)

    def __str__(self) -> str:
        """For people."""
        return f"LSN {lsn(self.lsn)} of timeline {self.timeline}, {self.why}"


def promise_of(archive: Archive | None, base: BaseBackup, target: RecoveryTarget | None) -> Promise | None:
    """What a recovery from ``base`` to ``target`` can promise before anything is sealed. Without a target it is the end
    of what is archived. None where the archive was not read, or has no WAL for it.
    """
    window = window_of(archive, base, target.timeline if target else None) if archive else None
    if archive is None or window is None:
        return None
    position, why = base.end_lsn, f"where base backup {base.backup_id} ended"
    match target:
        case None:
            return _promise_of_the_end(archive, base, window)
        case LsnTarget() if not target.exclusive:
            position, why = max(position, target.lsn), "the target"
        case TimeTarget() | LsnTarget() | XidTarget() | NameTarget() | ImmediateTarget():
            pass
        case _:
            assert_never(target)
    return Promise(timeline=window.timeline, lsn=position, segment_size=archive.segment_size, why=why)


def _promise_of_the_end(archive: Archive, base: BaseBackup, window: Window) -> Promise:
    left_at = archive.path(window.timeline).switch_from(timeline_of(window.end.segment))
    end = window.end.lsn if left_at is None else min(window.end.lsn, left_at)
    first = min(window.end.lsn - archive.segment_size + 1, end)
    return Promise(
        timeline=window.timeline,
        lsn=max(end - _CUT_RECORD, first, base.end_lsn),
        segment_size=archive.segment_size,
        why=f"in the last archived segment, {window.end.segment}",
    )


def is_compared(answers: Iterable[tuple[str, bool | None]]) -> bool:
    """Whether it is known that the recovery came as far as it had to, by the findings as (name, passed)."""
    return (END_OF_WAL, None) not in set(answers)


def read_history(text: str) -> tuple[Switch, ...]:
    """The lines of a timeline history file, oldest first (``readTimeLineHistory`` in ``timeline.c``)."""
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(Switch(parent=int(line[1]), lsn=position_of(line[2]), reason=line[3]) for line in found if line)
