"""The recovery target: where a recovery stops, in every form that CloudNativePG takes.

It becomes a :class:`RecoveryTarget` at the door and is never a string again, because the string forms are where users
get hurt: CloudNativePG passes some of them to PostgreSQL unchanged, where the server's own time zone then decides.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr.core.wal_names import lsn as lsn_text
from dr.core.written_time import read_time

LATEST = "latest"
"""In place of a target, where a recovery to the end of the archived WAL is written down."""


@dataclass(frozen=True)
class RecoveryTarget:
    """Where to stop: exactly one of ``time``, ``lsn``, ``xid``, ``name`` and ``immediate``.

    ``time`` is aware and in UTC; ``lsn`` is a position in the WAL, in bytes; ``xid`` a transaction; ``name`` a restore
    point; ``immediate`` stops as soon as the base backup is consistent. The rest says how to get there: from
    ``backup_id`` (None: CloudNativePG's choice), along ``timeline`` (None: the latest), and with ``exclusive`` without
    the transaction at the target itself, which is kept otherwise (PostgreSQL manual, "Recovery Target").
    """

    time: datetime | None = None
    lsn: int | None = None
    xid: int | None = None
    name: str | None = None
    immediate: bool = False
    backup_id: str | None = None
    timeline: int | None = None
    exclusive: bool = False

    @classmethod
    def parse(cls, text: str, *, now: datetime) -> "RecoveryTarget":
        """A time with a zone. Raises RequestError when it is malformed, has no zone, or lies after ``now``."""
        return cls(read_time(text, now=now))

    @property
    def rfc3339(self) -> str:
        """The time in the form to send: RFC 3339 with an explicit offset, which CloudNativePG normalises for
        PostgreSQL. Empty for a target that is no time.
        """
        if self.time is None:
            return ""
        return self.time.isoformat(timespec="microseconds" if self.time.microsecond else "seconds")

    @property
    def manifest(self) -> dict[str, Any]:
        """The ``recoveryTarget`` of a Cluster (CloudNativePG's ``cluster_types.go``)."""
        fields = {
            "targetTime": self.rfc3339,
            "targetLSN": "" if self.lsn is None else lsn_text(self.lsn),
            "targetXID": "" if self.xid is None else str(self.xid),
            "targetName": self.name,
            "targetImmediate": self.immediate,
            "backupID": self.backup_id,
            "targetTLI": "" if self.timeline is None else str(self.timeline),
            "exclusive": self.exclusive,
        }
        return {key: value for key, value in fields.items() if value}

    @property
    def options(self) -> list[str]:
        """The words of the command line that ask for this target."""
        told = {
            "--target-time": self.rfc3339,
            "--target-lsn": "" if self.lsn is None else lsn_text(self.lsn),
            "--target-xid": "" if self.xid is None else str(self.xid),
            "--target-name": self.name,
            "--backup-id": self.backup_id,
            "--timeline": "" if self.timeline is None else str(self.timeline),
        }
        flags = {"--target-immediate": self.immediate, "--exclusive": self.exclusive}
        words = [word for option, value in told.items() if value for word in (option, value)]
        return [*words, *(flag for flag, on in flags.items() if on)]

    def __str__(self) -> str:
        """For people; times in UTC."""
        if self.time is not None:
            return f"{self.time.isoformat(sep=' ', timespec='auto').removesuffix('+00:00')} UTC"
        if self.lsn is not None:
            return f"LSN {lsn_text(self.lsn)}"
        if self.xid is not None:
            return f"transaction {self.xid}"
        if self.name is not None:
            return f"restore point {self.name!r}"
        return f"the end of base backup {self.backup_id}" if self.backup_id else "the end of the base backup"

    @property
    def how(self) -> str:
        """What the rest says, for people: which timeline, and whether the target itself is kept."""
        by_commit = self.name is None and not self.immediate
        kept = "exclusive" if self.exclusive else "inclusive"
        timeline = f"timeline {self.timeline}" if self.timeline else ""
        return ", ".join(part for part in (kept if by_commit else "", timeline) if part)


def written(target: RecoveryTarget | None) -> str:
    """A target as it is written down: a plain time as it is sent, other fields by their names, or ``latest`` for None,
    the end of the archived WAL.
    """
    if target is None:
        return LATEST
    fields = target.manifest
    first = fields.pop("targetTime", "")
    rest = [f"{key}={str(value).lower() if value is True else value}" for key, value in fields.items()]
    return ", ".join([*([first] if first else []), *rest])


def written_time(text: str | None) -> datetime | None:
    """The moment of a target as :func:`written`, None where it is none."""
    try:
        return datetime.fromisoformat((text or "").partition(",")[0])
    except ValueError:
        return None


AUTO, NEVER, NEWEST = "auto", "never", "newest"
"""What ``--snapshot`` takes beside the name of a Backup."""
