"""Waiting in tests, and the one place where they read a clock.

No test asserts a time or a speed of the machine, which may be busy: that is measured by ``bench``, as ratios within
one run. Ruff holds the rule (``banned-api`` in pyproject.toml). A wait ends as soon as what is waited for is there; its
limit only turns a hang into a failure.
"""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

HANG_SECONDS = 300.0
"""The limit of every wait that has no reason for a longer one: what works takes much less on the busiest machine."""


def until(seconds: float = HANG_SECONDS) -> float:
    """A time of the monotonic clock, in so many seconds."""
    return time.monotonic() + seconds


def wait_for(
    condition: Callable[[], T | None],
    seconds: float = HANG_SECONDS,
    *,
    seen: Callable[[], object] = lambda: "it did not come to that",
    longest_pause: float = 0.2,
) -> T:
    """Wait until ``condition`` is true, and return it. After ``seconds`` it is a failure, with what is ``seen``."""
    over, pause = until(seconds), 0.002
    while not (found := condition()):
        assert time.monotonic() < over, f"{seen()}, in {seconds:.0f} s"
        time.sleep(pause)
        pause = min(2 * pause, longest_pause)
    return found


def stopwatch() -> Callable[[], str]:
    """Start one. Called, it tells how long it has run, in words for a report: nothing that could be compared."""
    began = time.monotonic()
    return lambda: f"{time.monotonic() - began:.1f} s"
