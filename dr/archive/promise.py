"""Where a recovery has to end, and where it did: the one is written down before it begins, the other is read from it.

PostgreSQL takes a ``restore_command`` that fails for the end of the archive, and promotes without an error where it has
no target (``RestoreArchivedFile`` in ``xlogarchive.c``). So that a recovery has come to its end proves nothing: the
position at which its new timeline left the old one does. PostgreSQL writes that position into the new timeline's
history file, with the reason why it stopped there (``getRecoveryStopReason`` in ``xlogrecovery.c``).
"""

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from dr.archive.contents import Archive, BaseBackup, Switch
from dr.archive.window import window_of
from dr.core.target import RecoveryTarget, written_time
from dr.core.wal_names import lsn, name_of, position_of, timeline_of

_LINE = re.compile(r"(\d+)\s+([0-9A-F]+/[0-9A-F]+)\s*(.*)", re.IGNORECASE)
_CUT_RECORD = 2**20
"""By how much the end of the archived WAL may be missed, in bytes: a record that goes on in a segment that was never
archived is not replayed. As a rule a record has at most 32 pages of 8 KiB, and what describes them."""


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
    if target is not None:
        named = target.lsn is not None and not target.exclusive
        return Promise(
            timeline=window.timeline,
            lsn=max(base.end_lsn, target.lsn or 0) if named else base.end_lsn,
            segment_size=archive.segment_size,
            why="the target" if named else f"where base backup {base.backup_id} ended",
        )
    left_at = archive.path(window.timeline).switch_from(timeline_of(window.end.segment))
    end = window.end.lsn if left_at is None else min(window.end.lsn, left_at)
    first = min(window.end.lsn - archive.segment_size + 1, end)
    return Promise(
        timeline=window.timeline,
        lsn=max(end - _CUT_RECORD, first, base.end_lsn),
        segment_size=archive.segment_size,
        why=f"in the last archived segment, {window.end.segment}",
    )


def read_history(text: str) -> tuple[Switch, ...]:
    """The lines of a timeline history file, oldest first (``readTimeLineHistory`` in ``timeline.c``)."""
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return tuple(Switch(parent=int(line[1]), lsn=position_of(line[2]), reason=line[3]) for line in found if line)


def stopped_because_of(target: RecoveryTarget, end: Switch) -> bool:
    """Whether PostgreSQL says that it stopped because of ``target``, and at or behind where that is."""
    reason = end.reason.strip()
    if target.time is not None:
        moment = written_time(reason.partition(" ")[2])
        return moment is not None and (moment >= target.time if target.exclusive else moment > target.time)
    if target.lsn is not None:
        position = re.fullmatch(r"(?:before|after) LSN ([0-9A-F]+/[0-9A-F]+)", reason)
        return position is not None and position_of(position[1]) >= target.lsn
    if target.xid is not None:
        return re.fullmatch(rf"(before|after) transaction {target.xid}", reason) is not None
    return reason == (f'at restore point "{target.name}"' if target.name else "reached consistency")
