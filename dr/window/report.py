"""What ``dr window`` tells: every archive below the backup path, with its windows, as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dr.archive.contents import Archive
from dr.archive.databases import strangers, systems
from dr.archive.window import End, Hole, Window, holes, unusable, windows
from dr.core.text import exact_moment_of
from dr.core.wal_names import is_segment, lsn


@dataclass(frozen=True, kw_only=True)
class WindowReport:
    """The archives at ``place`` as they were at ``seen_at`` (aware UTC). ``serving`` is the serverName of the Cluster
    that serves the traffic, None when not known; ``silence`` is then why, in words. ``end`` is the end of the newest
    window of that archive with its last commit, None where that was not read.
    """

    environment: str
    place: str
    seen_at: datetime
    archives: tuple[Archive, ...]
    serving: str | None
    silence: str
    end: End | None = None

    def windows(self, archive: Archive) -> tuple[Window, ...]:
        """The windows of ``archive``, with the last commit where it is known."""
        end = self.end if archive.server_name == self.serving else None
        return tuple(
            replace(window, end=end) if end is not None and window.end.segment == end.segment else window
            for window in windows(archive)
        )

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        return {
            "environment": self.environment,
            "place": self.place,
            "seenAt": self.seen_at.isoformat(),
            "serving": self.serving,
            "clusterNotAsked": self.silence or None,
            "archives": [self._archive(archive) for archive in self.archives],
        }

    def _archive(self, archive: Archive) -> Mapping[str, Any]:
        unused = {backup.backup_id for backup in unusable(archive)}
        return {
            "serverName": archive.server_name,
            "serving": None if self.serving is None else archive.server_name == self.serving,
            "segmentSize": archive.segment_size,
            "systemIdentifiers": [*systems(archive), *strangers(archive)],
            "windows": [_window(window) for window in self.windows(archive)],
            "backups": [
                {
                    "id": backup.backup_id,
                    "begin": backup.begin.isoformat(),
                    "end": backup.end.isoformat(),
                    "beginLSN": lsn(backup.begin_lsn),
                    "endLSN": lsn(backup.end_lsn),
                    "beginWAL": backup.begin_wal,
                    "endWAL": backup.end_wal,
                    "timeline": backup.timeline,
                    "size": backup.size,
                    "usable": backup.backup_id not in unused,
                    "systemIdentifier": backup.system_id or None,
                }
                for backup in archive.backups
            ],
            "incompleteBackups": [
                {"id": backup.backup_id, "why": backup.why, "begin": _time(backup.begin)}
                for backup in archive.incomplete
            ],
            "wal": [
                {
                    "timeline": stretch.timeline,
                    "first": archive.name(stretch.timeline, stretch.first),
                    "last": archive.name(stretch.timeline, stretch.last),
                    "segments": stretch.count,
                    "firstArchivedAt": _time(archive.archived(stretch.timeline, stretch.first)),
                    "lastArchivedAt": _time(archive.archived(stretch.timeline, stretch.last)),
                }
                for stretch in archive.stretches
            ],
            "holes": [
                {
                    "timeline": hole.timeline,
                    "first": hole.first,
                    "last": hole.last,
                    "segments": hole.count,
                    "after": _time(hole.before),
                    "before": _time(hole.after),
                    "needed": hole.needed,
                    "resumesWith": hole.resumes.backup_id if hole.resumes else None,
                    "unreadable": [{"segment": name, "why": why} for name, why in hole.damaged.items()],
                    "meaning": meaning(hole),
                }
                for hole in holes(archive)
            ],
            "unreadable": [{"segment": name, "why": why} for name, why in sorted(archive.damaged.items())],
            "firstPages": {
                "read": len(archive.read),
                "of": sum(map(is_segment, archive.files)),
                "notAsked": [{"segment": name, "why": one.cause} for name, one in sorted(archive.unasked.items())],
            },
            "timelines": [
                {
                    "timeline": timeline,
                    "from": [
                        {"timeline": switch.parent, "lsn": lsn(switch.lsn), "reason": switch.reason}
                        for switch in archive.histories.get(timeline, ())
                    ],
                    "unreadable": archive.unreadable.get(timeline),
                }
                for timeline in archive.timelines
            ],
            "unknownObjects": list(archive.unknown),
        }


def meaning(hole: Hole) -> str:
    """What a hole means for targets, in a sentence."""
    if not hole.needed:
        return "no base backup before it needs them"
    since = f"from {exact_moment_of(hole.before)}" if hole.before else "from the hole"
    if hole.resumes:
        until = f"until base backup {hole.resumes.backup_id} ended, {exact_moment_of(hole.resumes.end)}"
        return f"no target {since} {until}, can be reached"
    return f"no target {since} on can be reached: take a base backup now"


def _window(window: Window) -> Mapping[str, Any]:
    first, end = window.backups[0], window.end
    return {
        "timeline": window.timeline,
        "byDefault": window.by_default,
        "systemIdentifier": window.system_id or None,
        "options": window.options,
        "from": {
            "time": window.start.isoformat(),
            "lsn": lsn(first.end_lsn),
            "backup": first.backup_id,
        },
        "to": {
            "segment": end.segment,
            "lsn": lsn(end.lsn),
            "archivedAt": _time(end.archived),
            "lastCommit": _time(end.last_commit),
        },
        "backups": [backup.backup_id for backup in window.backups],
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat() if time else None
