"""Numbers, lengths of time and moments, as people read them."""

from datetime import datetime, timedelta


def seconds_of(count: float) -> str:
    """A duration: ``0.4 s``, ``51 s``, ``12 min 5 s``, ``1 h 20 min``."""
    if count < 9.95:
        return f"{count:.1f} s"
    whole = round(count)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(count / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def bytes_of(count: float) -> str:
    """An amount of data: ``1.5 GiB``."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:.0f} bytes"


def moment_of(time: datetime) -> str:
    """A time, in UTC, to the second."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def spoken(duration: timedelta | float) -> str:
    """In the largest unit of which there are at least two, such as ``90 min`` or ``3.5 h``; a number is in seconds."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    for size, name in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s" if abs(seconds) < 100 else f"{seconds:.0f} s"
