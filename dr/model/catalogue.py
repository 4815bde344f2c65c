"""The base backups of one serverName, and which of them a recovery starts from.

CloudNativePG makes the same choice inside the recovery Job, where a wrong target shows only as a failed pod. Making it
here first turns that into a sentence before anything is touched.
"""

from dataclasses import dataclass
from datetime import datetime

from dr.model.target import RecoveryTarget


@dataclass(frozen=True, kw_only=True)
class BaseBackup:
    """A completed base backup. ``begin`` and ``end`` are aware UTC; ``begin_lsn`` and ``end_lsn`` are positions in the
    WAL, in bytes; ``size`` is in bytes, None where not recorded; ``segment_size`` is that of the server's WAL segments.
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


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What the object store holds for one serverName, oldest backup first.

    ``server_names`` are the folders found beside it, each with whether it holds anything.
    """

    server_name: str
    backups: tuple[BaseBackup, ...]
    server_names: frozenset[str]

    @property
    def first_recoverable(self) -> datetime | None:
        """The earliest reachable moment: the end of the oldest base backup."""
        return self.backups[0].end if self.backups else None

    def base_for(self, target: RecoveryTarget | None) -> BaseBackup | None:
        """The backup that CloudNativePG takes (its ``catalog.go``): the newest that had ended by the target, the newest
        of all for the end of the WAL, or None when the target precedes them all.
        """
        ended = [backup for backup in self.backups if target is None or backup.end <= target.time]
        return max(ended, key=lambda backup: backup.end, default=None)
