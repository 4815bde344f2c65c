"""The recovery target: where a recovery stops, in every form that CloudNativePG takes, and how people write a moment.

It becomes a :class:`RecoveryTarget` at the door and is never a string again, because the string forms are where users
get hurt: CloudNativePG passes some of them to PostgreSQL unchanged, where the server's own time zone then decides.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dr.core.errors import RequestError
from dr.core.text import exact_moment_of, moment_of, rfc3339_of
from dr.core.wal_names import lsn as lsn_text

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
        return rfc3339_of(self.time)

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
            return exact_moment_of(self.time)
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


@dataclass(frozen=True, kw_only=True)
class LaterCommits:
    """Transactions committed after a moment. ``last`` is aware UTC; ``complete`` is False when the oldest WAL that is
    still on the server begins after the moment, so that there may be more.
    """

    count: int
    last: datetime | None
    complete: bool

    def __str__(self) -> str:
        """For people."""
        if not self.count or self.last is None:
            return "no transaction" if self.complete else "no transaction in the WAL that is still on the server"
        least = "" if self.complete else "at least "
        plural = "" if self.count == 1 else "s"
        return f"{least}{self.count:,} transaction{plural}, the last at {exact_moment_of(self.last)}"


_EXAMPLE = "2026-04-27T09:55:00Z"
_NAMED_ZONE = re.compile(r"(.*:\d+(?:\.\d+)?)\s*([Uu][Tt][Cc]|GMT|[A-Za-z_]+(?:/[A-Za-z_-]+)+)")
"""``UTC``, or a place as in the tz database. Abbreviations such as EST or IST mean several zones."""


def read_time(text: str, *, now: datetime) -> datetime:
    """The moment, in UTC, of an ISO 8601 time with a zone, such as ``2026-04-27T09:55:00Z``, ``2026-04-27
    18:55:00+09:00``, ``2026-04-27 09:55 UTC`` or ``2026-04-27 11:55 Europe/Oslo``.

    Raises RequestError when it is malformed, has no zone, is one that the zone's clocks showed twice or never, or lies
    after ``now``.
    """
    cleaned = text.strip()
    try:
        if named := _NAMED_ZONE.fullmatch(cleaned):
            time = _in_zone(text, datetime.fromisoformat(named[1].strip().upper()), _zone(named[2]))
        else:
            time = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d|[zZ]$)", "", cleaned).upper())
        utc = time.astimezone(UTC)
    except (ValueError, OverflowError, ZoneInfoNotFoundError, OSError) as error:
        raise RequestError(
            "target-time-malformed",
            f"--target-time {text!r} is not a time: {error}",
            f"write the date, the time and the zone, as in --target-time {_EXAMPLE}",
        ) from error
    if time.tzinfo is None:
        raise RequestError(
            "target-time-without-zone",
            f"--target-time {text!r} has no time zone, so you and PostgreSQL could mean different moments",
            f"add Z for UTC or an offset such as +09:00, as in --target-time {_EXAMPLE}",
        )
    if utc > now:
        raise RequestError(
            "target-time-in-the-future",
            f"--target-time {text!r} is {moment_of(utc)}, and now it is {moment_of(now)}",
            "give the moment just before the damage; it has to lie in the past (is the zone right?)",
        )
    return utc


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo("UTC" if name.upper() == "UTC" else name)


def _in_zone(text: str, time: datetime, zone: ZoneInfo) -> datetime:
    """``time`` in ``zone``, when the zone's clocks showed it once. Raises ValueError where ``time`` has a zone."""
    if time.tzinfo is not None:
        raise ValueError(f"it has two zones, {time.tzinfo} and {zone}")
    first, second = (time.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        moments = sorted(moment.astimezone(UTC) for moment in (first, second))
        raise RequestError(
            "target-time-ambiguous",
            f"--target-time {text!r} is a time that the clocks of {zone} showed twice or never",
            "give it in UTC: " + " or ".join(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in moments),
        )
    return first
