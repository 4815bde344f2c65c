"""Reading a moment as people write it, and refusing what could mean two."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dr.core.errors import RequestError

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
            f"--target-time {text!r} is {utc:%Y-%m-%d %H:%M:%S} UTC, and now it is {now:%Y-%m-%d %H:%M:%S} UTC",
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
