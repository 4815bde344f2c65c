"""Numbers and times for people, in reports."""

from datetime import datetime


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
