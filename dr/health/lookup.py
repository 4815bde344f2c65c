"""Looking at several things at once, none of which is waited for longer than all may take."""

import time
from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

from dr.core.errors import AccessError
from dr.health.check import Unseen

T = TypeVar("T")


class Look(Generic[T]):
    """One look, begun at once, in a thread of its own."""

    def __init__(self, what: str, call: Callable[[], T]) -> None:
        """``what`` says what is looked at: "the bucket"."""
        self._what = what
        self._call = call
        self._seen: list[T | Unseen] = []
        self._fault: list[Exception] = []
        # A daemon: a process that is done should not wait for a server that never answers.
        self._thread = Thread(target=self._run, daemon=True, name=f"look-at-{what}")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._seen.append(self._call())
        except AccessError as error:
            self._seen.append(Unseen(code=error.code, why=error.cause, remedy=error.remedy))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._fault.append(error)

    def result(self, until: float) -> T | Unseen:
        """What was seen, or why not; ``until`` is a time of the monotonic clock. Raises what is no AccessError."""
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._fault:
            raise self._fault[0]
        if self._seen:
            return self._seen[0]
        return Unseen(
            code="no-answer",
            why=f"{self._what} did not answer in time",
            remedy="repeat the command; is something overloaded, or does a firewall drop packets?",
        )
