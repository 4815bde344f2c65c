"""Ctrl-C and SIGTERM.

Before anything is changed they end the program as usual. While an operation runs they only set an event: the operation
then stops at a safe place, takes the engine down in good order, and says what was done.
"""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does, rather than end the process on the spot."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, handle)


class Begun:
    """Whether this process may have changed something: what fails afterwards cannot say that it did not."""

    anything = False


@contextmanager
def stopping(stop: Event, *, looking: bool = False) -> Iterator[None]:
    """Within the context, both signals set ``stop`` and raise nothing. It may change something, unless it is
    ``looking`` only.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
            sys.stderr.write(f"\n{signal.Signals(number).name}: stopping at a safe place ...\n")
        stop.set()

    Begun.anything = Begun.anything or not looking
    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
