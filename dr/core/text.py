"""Lengths of time, amounts of data and moments, as people read them: the one place that formats them."""

from datetime import datetime, timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def seconds_of(count: float) -> str:
    """How long something took: ``0.4 s``, ``51 s``, ``12 min 5 s``, ``1 h 20 min``, ``2 d 1 h``."""
    if count < 9.95:
        return f"{count:.1f} s"
    whole = round(count)
    return whole_seconds_of(whole if whole < 3600 else 60 * round(count / 60))


def whole_seconds_of(count: float) -> str:
    """A length of time in its two largest units, cut off: ``0 s``, ``15 min``, ``1 h 20 min``."""
    rest = max(0, int(count))
    parts: list[tuple[int, str]] = []
    for size, name in _UNITS:
        amount, rest = divmod(rest, size)
        if amount or parts:
            parts.append((amount, name))
    return " ".join(f"{amount} {name}" for amount, name in parts[:2] if amount) or "0 s"


def about_seconds_of(count: float) -> str:
    """An estimate: ``95 s``, ``12 min``."""
    return f"{count:.0f} s" if count < 120 else f"{count / 60:.0f} min"


def format_duration(duration: timedelta | float) -> str:
    """An age or a threshold, in the largest unit of which there are at least two, such as ``90 min`` or ``3.5 h``; a
    number is in seconds.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    for size, name in _UNITS[:-1]:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s" if abs(seconds) < 100 else f"{seconds:.0f} s"


def bytes_of(count: float) -> str:
    """An amount of data: ``1.5 GiB``."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:.0f} bytes"


def mebibytes_of(count: float) -> str:
    """The size of a base backup, so that it compares with others at a glance: ``1,536 MiB``."""
    return f"{count / 2**20:,.0f} MiB"


def moment_of(time: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def exact_moment_of(time: datetime) -> str:
    """A time in UTC with all that it has: microseconds, too, where there are any."""
    return f"{time.isoformat(sep=' ', timespec='auto').removesuffix('+00:00')} UTC"


def rfc3339_of(time: datetime) -> str:
    """A time as programs take it: RFC 3339 with an explicit offset."""
    return time.isoformat(timespec="microseconds" if time.microsecond else "seconds")
