"""The recovery target: where a recovery stops, in every form that CloudNativePG takes, and how people write a moment.

It becomes a :data:`RecoveryTarget` at the door and is never a string again, because the string forms are where users
get hurt: CloudNativePG passes some of them to PostgreSQL unchanged, where the server's own time zone then decides.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self, TypeAlias, assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dr.core.errors import RequestError
from dr.core.text import exact_moment_of, moment_of, rfc3339_of
from dr.core.wal_names import lsn as lsn_text
from dr.core.wal_names import position_of

_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_FIRST_XID = 3  # FirstNormalTransactionId in PostgreSQL's transam.h
_LONGEST_NAME = 63  # MAXFNAMELEN - 1
_32_BITS = 2**32

LATEST = "latest"
"""In place of a target, where a recovery to the end of the archived WAL is written down."""


@dataclass(frozen=True, kw_only=True)
class _Target(ABC):
    """Where to stop, and how to get there: from ``backup_id`` (None: CloudNativePG's choice), along ``timeline`` (None:
    the latest).
    """

    field: ClassVar[str]
    """In the ``recoveryTarget`` of a Cluster (CloudNativePG's ``cluster_types.go``)."""
    option: ClassVar[str]
    """Of the command line."""
    needs_backup_id: ClassVar[bool]
    """Whether it does not tell which base backup comes before it (``validateRecoveryTarget`` in
    ``cluster_webhook.go``)."""

    backup_id: str | None = None
    timeline: int | None = None

    @classmethod
    @abstractmethod
    def parse(cls, text: str, /, *, now: datetime) -> Self:
        """What the option says. Raises RequestError."""

    @property
    @abstractmethod
    def value(self) -> str | Literal[True]:
        """What the field and the option have; True for a flag."""

    @abstractmethod
    def __str__(self) -> str:
        """For people; times in UTC."""

    @abstractmethod
    def begins_from(self, end: datetime, end_lsn: int, /) -> bool:
        """Whether CloudNativePG takes a base backup that ended there (barman-cloud's ``catalog.go``)."""

    @abstractmethod
    def reached_by(self, reason: str) -> bool:
        """Whether PostgreSQL stopped because of this target, and at or behind it. ``reason`` is that of a timeline's
        history file (``getRecoveryStopReason`` in ``xlogrecovery.c``).
        """

    @property
    def manifest(self) -> dict[str, Any]:
        """The ``recoveryTarget`` of a Cluster."""
        rest = {"backupID": self.backup_id, "targetTLI": self._timeline, "exclusive": self._exclusive}
        return {self.field: self.value, **{key: value for key, value in rest.items() if value}}

    @property
    def options(self) -> list[str]:
        """The words of the command line that ask for this target."""
        values = {self.option: self.value, "--backup-id": self.backup_id, "--timeline": self._timeline}
        flags = {self.option: self.value is True, "--exclusive": self._exclusive}
        words = [word for option, value in values.items() if isinstance(value, str) for word in (option, value)]
        return [*words, *(flag for flag, on in flags.items() if on)]

    @property
    def how(self) -> str:
        """How to get there, for people: which timeline, and whether the target itself is kept."""
        return f"timeline {self.timeline}" if self.timeline else ""

    @property
    def _timeline(self) -> str | None:
        return str(self.timeline) if self.timeline else None

    @property
    def _exclusive(self) -> bool:
        return False


@dataclass(frozen=True, kw_only=True)
class _CommitTarget(_Target):
    """A target among commits: with ``exclusive`` without the transaction at the target itself, which is kept otherwise
    (PostgreSQL manual, "Recovery Target").
    """

    exclusive: bool = False

    @property
    def how(self) -> str:
        """How to get there, for people: which timeline, and whether the target itself is kept."""
        return ", ".join(part for part in ("exclusive" if self.exclusive else "inclusive", super().how) if part)

    @property
    def _exclusive(self) -> bool:
        return self.exclusive


@dataclass(frozen=True)
class TimeTarget(_CommitTarget):
    """The moment ``time``, aware and in UTC."""

    field = "targetTime"
    option = "--target-time"
    needs_backup_id = False

    time: datetime

    @classmethod
    def parse(cls, text: str, /, *, now: datetime) -> Self:
        """A time with a zone. Raises RequestError when it is malformed, has no zone, or lies after ``now``."""
        return cls(read_time(text, now=now))

    @property
    def value(self) -> str:
        """RFC 3339 with an explicit offset, which CloudNativePG normalises for PostgreSQL."""
        return rfc3339_of(self.time)

    def __str__(self) -> str:
        """For people."""
        return exact_moment_of(self.time)

    def begins_from(self, end: datetime, _: int, /) -> bool:
        """One that had ended by then."""
        return end <= self.time

    def reached_by(self, reason: str) -> bool:
        """By the time of the commit that PostgreSQL stopped at."""
        moment = written_time(reason.strip().partition(" ")[2])
        return moment is not None and (moment >= self.time if self.exclusive else moment > self.time)


@dataclass(frozen=True)
class LsnTarget(_CommitTarget):
    """The position ``lsn`` in the WAL, in bytes."""

    field = "targetLSN"
    option = "--target-lsn"
    needs_backup_id = False

    lsn: int

    @classmethod
    def parse(cls, text: str, /, **_: object) -> Self:
        """A position as PostgreSQL writes it. Raises RequestError."""
        if not _LSN.fullmatch(text.strip()):
            raise RequestError(
                "target-lsn-malformed",
                f"{cls.option} {text!r} is not a valid LSN",
                f"write it as PostgreSQL does, as in {cls.option} 0/3000028",
            )
        return cls(position_of(text.strip()))

    @property
    def value(self) -> str:
        """As PostgreSQL writes it."""
        return lsn_text(self.lsn)

    def __str__(self) -> str:
        """For people."""
        return f"LSN {self.value}"

    def begins_from(self, _: datetime, end_lsn: int, /) -> bool:
        """One that had ended before it: barman-cloud compares by "less"."""
        return end_lsn < self.lsn

    def reached_by(self, reason: str) -> bool:
        """By the position that PostgreSQL stopped at."""
        position = re.fullmatch(r"(?:before|after) LSN ([0-9A-F]+/[0-9A-F]+)", reason.strip())
        return position is not None and position_of(position[1]) >= self.lsn


@dataclass(frozen=True)
class XidTarget(_CommitTarget):
    """The transaction ``xid``."""

    field = "targetXID"
    option = "--target-xid"
    needs_backup_id = True

    xid: int

    @classmethod
    def parse(cls, text: str, /, **_: object) -> Self:
        """A transaction's ID without its epoch. Raises RequestError."""
        number = int(text) if re.fullmatch(r"[0-9]{1,20}", text) else -1
        if number >= _32_BITS:
            raise RequestError(
                "target-xid-malformed",
                f"{cls.option} {text} has an epoch: PostgreSQL's recovery takes the lower 32 bits alone",
                f"give {cls.option} {number % _32_BITS}, if it is of the epoch that the base backup is of",
            )
        if number < _FIRST_XID:
            raise RequestError(
                "target-xid-malformed",
                f"{cls.option} {text!r} is not a valid transaction ID",
                f"give a number from {_FIRST_XID} to {_32_BITS - 1}, such as pg_current_xact_id() returned",
            )
        return cls(number)

    @property
    def value(self) -> str:
        """In decimal."""
        return str(self.xid)

    def __str__(self) -> str:
        """For people."""
        return f"transaction {self.xid}"

    def begins_from(self, _: datetime, __: int, /) -> bool:
        """Any: nothing tells which ones are before it."""
        return True

    def reached_by(self, reason: str) -> bool:
        """By its number."""
        return re.fullmatch(rf"(before|after) transaction {self.xid}", reason.strip()) is not None


@dataclass(frozen=True)
class NameTarget(_Target):
    """The restore point ``name``."""

    field = "targetName"
    option = "--target-name"
    needs_backup_id = True

    name: str

    @classmethod
    def parse(cls, text: str, /, **_: object) -> Self:
        """A restore point's name. Raises RequestError."""
        if not text or len(text.encode()) > _LONGEST_NAME or re.search(r"[\x00-\x1f\x7f]", text):
            raise RequestError(
                "target-name-malformed",
                f"{cls.option} {text!r} cannot be a restore point's name",
                f"give the one that pg_create_restore_point() got: 1 to {_LONGEST_NAME} bytes, no control characters",
            )
        return cls(text)

    @property
    def value(self) -> str:
        """The name."""
        return self.name

    def __str__(self) -> str:
        """For people."""
        return f"restore point {self.name!r}"

    def begins_from(self, _: datetime, __: int, /) -> bool:
        """Any: nothing tells which ones are before it."""
        return True

    def reached_by(self, reason: str) -> bool:
        """By its name."""
        return reason.strip() == f'at restore point "{self.name}"'


@dataclass(frozen=True)
class ImmediateTarget(_Target):
    """As soon as the base backup is consistent."""

    field = "targetImmediate"
    option = "--target-immediate"
    needs_backup_id = True

    @classmethod
    def parse(cls, _: str, /, **__: object) -> Self:
        """A flag has no text."""
        return cls()

    @property
    def value(self) -> Literal[True]:
        """A flag."""
        return True

    def __str__(self) -> str:
        """For people."""
        return f"the end of base backup {self.backup_id}" if self.backup_id else "the end of the base backup"

    def begins_from(self, _: datetime, __: int, /) -> bool:
        """Any: it is the end of the one that is named."""
        return True

    def reached_by(self, reason: str) -> bool:
        """As PostgreSQL says it."""
        return reason.strip() == "reached consistency"


RecoveryTarget: TypeAlias = TimeTarget | LsnTarget | XidTarget | NameTarget | ImmediateTarget
"""Where to stop. What each kind means is in its class; where else they differ, ``assert_never`` has mypy find a kind
that was forgotten.
"""


def time_of(target: RecoveryTarget | None) -> datetime | None:
    """The moment of ``target``, aware UTC; None for one that is not a time."""
    match target:
        case TimeTarget():
            return target.time
        case LsnTarget() | XidTarget() | NameTarget() | ImmediateTarget() | None:
            return None
        case _:
            assert_never(target)


def written(target: RecoveryTarget | None) -> str:
    """A target as it is written down: a plain time as it is sent, other fields by their names, or ``latest`` for None,
    the end of the archived WAL.
    """
    return LATEST if target is None else _fields(target.manifest)


def written_fields(manifest: Mapping[str, Any]) -> str:
    """The ``recoveryTarget`` of a manifest, written so; without the base backup, which says where it begins and not
    where it stops. Empty where nothing but that is in it.
    """
    return _fields({key: value for key, value in manifest.items() if key != "backupID"})


def _fields(manifest: Mapping[str, Any]) -> str:
    first = [str(manifest[TimeTarget.field])] if TimeTarget.field in manifest else []
    rest = ((key, value) for key, value in manifest.items() if key != TimeTarget.field)
    return ", ".join([*first, *(f"{key}={'true' if value is True else value}" for key, value in rest)])


def written_time(text: str | None) -> datetime | None:
    """The moment of a target as :func:`written`, None where it is none."""
    try:
        return datetime.fromisoformat((text or "").partition(",")[0])
    except ValueError:
        return None


AUTO, NEVER, NEWEST = "auto", "never", "newest"
"""What ``--snapshot`` takes besides the name of a Backup."""


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
            "give the moment just before the damage; it must be in the past (is the zone right?)",
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
