"""Asking the application itself whether it works."""

import time
from threading import Event

import requests

from dr.core.errors import VerificationError

_ANSWER_SECONDS = 10


def await_ok(url: str, *, limit: float, stop: Event, remedy: str) -> str:
    """Ask ``url`` until it answers 200, as an application takes a moment to find its new database.

    Returns what it answered, in a line. ``limit`` is in seconds. Raises VerificationError ``smoke-test-failed`` at the
    limit, with ``remedy``; returns early when ``stop`` is set.
    """
    deadline = time.monotonic() + limit
    while True:
        said = ask(url, seconds=_ANSWER_SECONDS)
        if said.startswith("200") or stop.is_set():
            return said
        if time.monotonic() > deadline:
            raise VerificationError("smoke-test-failed", f"{url} answers {said} after {limit:.0f} s", remedy)
        stop.wait(1)


def ask(url: str, *, seconds: float) -> str:
    """What ``url`` answers now, in a line that begins with its status."""
    try:
        answer = requests.get(url, timeout=seconds)
    except requests.RequestException as error:
        return f"nothing: {error}"[:200]
    return f"{answer.status_code} {' '.join(answer.text.split())}"[:200].strip()
