"""The recovery target: the moment to go back to.

It becomes a :class:`RecoveryTarget` at the door and is never a string again, because the string forms are where users
get hurt: CloudNativePG passes some of them to PostgreSQL unchanged, where the server's own time zone then decides.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from dr.model.errors import RequestError

_EXAMPLE = "2026-04-27T09:55:00Z"

LATEST = "latest"
"""In place of a time, where a recovery to the end of the archived WAL is written down."""


@dataclass(frozen=True, order=True)
class RecoveryTarget:
    """A point in time to recover to, inclusive: the last transaction committed at or before it is kept.

    ``time`` is aware and in UTC (PostgreSQL manual, ``recovery_target_time``).
    """

    time: datetime

    @classmethod
    def parse(cls, text: str, *, now: datetime) -> "RecoveryTarget":
        """Read an ISO 8601 time with a zone, such as ``2026-04-27T09:55:00Z`` or ``2026-04-27 18:55:00+09:00``.

        Raises RequestError when it is malformed, has no zone, or lies after ``now``.
        """
        cleaned = text.strip()
        try:
            time = datetime.fromisoformat(re.sub(r"\s+(?=[+-]\d|[zZ]$)", "", cleaned).upper())
            utc = time.astimezone(UTC)
        except (ValueError, OverflowError) as error:
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
                f"--target-time {text!r} is {utc:%Y-%m-%d %H:%M:%S} UTC, and now it is {now:%Y-%m-%d %H:%M:%S} UTC",
                "give the moment just before the damage; it has to lie in the past (is the zone right?)",
            )
        return cls(utc)

    @property
    def rfc3339(self) -> str:
        """The form to send: RFC 3339 with an explicit offset, which CloudNativePG normalises for PostgreSQL."""
        return self.time.isoformat(timespec="microseconds" if self.time.microsecond else "seconds")

    def __str__(self) -> str:
        """For people, in UTC."""
        return f"{self.time.isoformat(sep=' ', timespec='auto').removesuffix('+00:00')} UTC"


def written(target: RecoveryTarget | None) -> str:
    """A target as it is written down: its time, or ``latest`` for None, the end of the archived WAL."""
    return target.rfc3339 if target else LATEST
