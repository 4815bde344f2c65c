"""The one place that polls: with a limit, an interval, and an end when the operator stops.

A generator and not a function with callbacks: what was seen last is at hand in the loop's own variables, for the
progress line, for the error at the limit and for what is returned. Not tenacity: at the limit and at its
``stop_when_event_set`` it raises the same RetryError, which each loop would have to take apart again.
"""

import time
from collections.abc import Callable, Iterator
from threading import Event

from dr.core.errors import InterruptedOperationError


def poll(
    limit: float,
    *,
    stop: Event,
    what: str,
    every: float = 0.2,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[float]:
    """Yield for each look, at least once, with the seconds since the first; ends at the limit.

    The loop returns, or breaks, once it has seen what it waits for; what follows the loop is what happens at the limit.
    ``limit`` and ``every``, the pause between two looks, are in seconds; ``what`` is what is waited for, in words.
    Raises InterruptedOperationError as soon as ``stop`` is set: no caller continues with what was never seen.
    """
    begin = clock()
    while not stop.is_set():
        yield clock() - begin
        if clock() - begin > limit:
            return
        stop.wait(every)
    raise InterruptedOperationError(
        "interrupted", f"stopped while waiting for {what}", "repeat the command, or undo what was done"
    )
