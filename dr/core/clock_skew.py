"""Two clocks that do not agree: a time that one of them told is another moment to the other. Pure."""

from collections.abc import Iterator
from datetime import timedelta

_WORTH_SAYING = timedelta(seconds=30)


def skew_warning(clock_ahead: timedelta | None) -> Iterator[str]:
    """A word on the database's clock where it is ahead of this machine's, or behind it, by more than half a minute.

    ``clock_ahead`` is None where it was not asked. PostgreSQL stamps commits by its own clock, and a target is compared
    with those stamps.
    """
    if clock_ahead is None or abs(clock_ahead) <= _WORTH_SAYING:
        return
    way = "ahead of" if clock_ahead > timedelta() else "behind"
    seconds = abs(clock_ahead).total_seconds()
    yield (
        f"The database's clock is {seconds:,.0f} s {way} this machine's. A --target-time counts by the database's: one "
        "that was read elsewhere (a deployment's log, a chat) may mean another moment. Mend the clocks (NTP)."
    )
