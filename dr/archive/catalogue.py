"""The base backups of one serverName, and which of them a recovery starts from.

CloudNativePG makes the same choice inside the recovery Job, where a wrong target shows only as a failed pod. Making it
here first turns that into a sentence before anything is touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from dr.core.target import RecoveryTarget


@dataclass(frozen=True, kw_only=True)
class BaseBackup:
    """A completed base backup. ``begin`` and ``end`` are aware UTC; ``begin_lsn`` and ``end_lsn`` are positions in the
    WAL, in bytes; ``size`` is in bytes, None where not recorded; ``segment_size`` is that of the server's WAL segments;
    ``major`` is PostgreSQL's major version, None where not recorded; ``system_id`` is the system identifier of the
    database that it is of, empty where not recorded.
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
    major: int | None = None
    system_id: str = ""


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
        """The backup that CloudNativePG takes (barman-cloud's ``catalog.go``): the one that is named, else the newest
        that had ended by a time or before an LSN, of the target's timeline where it is numbered; the newest of all for
        the end of the WAL. None when there is none such.
        """
        return max(self._possible(target), key=lambda backup: backup.end, default=None)

    def _possible(self, target: RecoveryTarget | None) -> Iterator[BaseBackup]:
        for backup in self.backups:
            if target is None:
                yield backup
            elif target.backup_id is not None:
                if backup.backup_id == target.backup_id:
                    yield backup
            elif (
                target.timeline in (None, backup.timeline)
                and (target.time is None or backup.end <= target.time)
                and (target.lsn is None or backup.end_lsn < target.lsn)
            ):
                yield backup
