"""One operator at a time: a lease in the environment's cluster, held while an operation runs.

Its holder renews it; a killed one leaves it behind. It is taken over automatically only where the holder is known to be
dead, a process of this very machine that is gone. Otherwise a person has to say so (``--take-over``), and even then it
is watched first: a holder that still renews it is alive, whatever the clocks of the two machines say.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Protocol

from dr.core.commands import CommandLines
from dr.core.errors import AccessError, InterruptedOperationError, Problem, RefusedError
from dr.core.history import Holder, LeaseSeen
from dr.engine.processes import known_dead

DURATION = timedelta(seconds=15)
_RENEW_SECONDS = 5.0


class Lease(Protocol):
    """Where the lease is kept: in the environment's cluster, or next to the state while there is none."""

    commands: CommandLines

    def read(self) -> LeaseSeen | None:
        """The lease, or None before the first operation. Raises AccessError."""

    def write(self, holder: str, now: datetime, duration: timedelta, *, over: LeaseSeen | None) -> bool:
        """Put ``holder`` into the lease in place of ``over``; False when someone else was quicker. Raises
        AccessError.
        """


@contextmanager
def held(store: Lease, me: Holder, *, take_over: bool, clock: Callable[[], datetime], stop: Event) -> Iterator[None]:
    """Hold the lease within the context. Raises RefusedError ``another-operator`` or ``lease-stale``, AccessError.

    When it is lost meanwhile, which takes a deliberate take-over, ``stop`` is set.
    """
    _acquire(store, me, take_over=take_over, clock=clock, stop=stop)
    over = Event()
    renewing = Thread(target=_renew, args=(store, me, clock, stop, over), daemon=True, name="lease")
    renewing.start()
    try:
        yield
    finally:
        over.set()
        renewing.join()
        with suppress(AccessError):
            seen = store.read()
            if seen and seen.holder == str(me):
                store.write("", clock(), DURATION, over=seen)


def check_free(store: Lease, *, take_over: bool, now: datetime, action: str = "") -> None:
    """Raise RefusedError where somebody else holds the lease, as :func:`held` would; ``action`` is what is known of
    their operation. With ``take_over`` :func:`held` alone decides: that takes a while.
    """
    seen = store.read()
    if not take_over and seen and seen.holder and not known_dead(Holder.parse(seen.holder)):
        raise RefusedError([_held_by(store.commands, seen, now, action)])


def _acquire(store: Lease, me: Holder, *, take_over: bool, clock: Callable[[], datetime], stop: Event) -> None:
    seen = store.read()
    if seen and seen.holder and not known_dead(Holder.parse(seen.holder)):
        if not take_over:
            raise RefusedError([_held_by(store.commands, seen, clock())])
        if stop.wait(seen.duration.total_seconds()):
            raise InterruptedOperationError("interrupted", "stopped before anything was changed", "repeat the command")
        again = store.read()
        if again and again.holder and again.renewed != seen.renewed:
            raise RefusedError([_held_by(store.commands, again, clock())])
        seen = again
    if not store.write(str(me), clock(), DURATION, over=seen):
        # Someone was quicker: it is theirs now.
        _acquire(store, me, take_over=False, clock=clock, stop=stop)


def _held_by(commands: CommandLines, seen: LeaseSeen, now: datetime, action: str = "") -> Problem:
    begun = f" since {seen.acquired:%Y-%m-%d %H:%M:%S} UTC" if seen.acquired else ""
    heard = f", last heard of at {seen.renewed:%H:%M:%S} UTC" if seen.renewed else ""
    since = f"{begun}{heard}{f', with {action}' if action else ''}"
    if seen.expired(now):
        return Problem(
            code="lease-stale",
            cause=f"{seen.holder} held the lease{since}, and did not release it (crashed or disconnected)",
            remedy="ask them; if that process is dead, repeat the command with --take-over",
        )
    return Problem(
        code="another-operator",
        cause=f"{seen.holder} is running an operation here{since}",
        remedy=f"wait for them: {commands.dr('status')} shows how far they are",
    )


def _renew(store: Lease, me: Holder, clock: Callable[[], datetime], stop: Event, over: Event) -> None:
    while not over.wait(_RENEW_SECONDS):
        # An API server that is away for a moment is no loss of the lease.
        with suppress(AccessError):
            seen = store.read()
            if seen is None or seen.holder != str(me):
                stop.set()
                return
            store.write(str(me), clock(), DURATION, over=seen)
