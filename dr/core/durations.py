"""Lengths of time as people say them."""

from datetime import timedelta

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))


def spoken(duration: timedelta | float) -> str:
    """In the largest unit of which there are at least two, such as ``90 min`` or ``3.5 h``; a number is in seconds."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    for size, name in _UNITS:
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s" if abs(seconds) < 100 else f"{seconds:.0f} s"
