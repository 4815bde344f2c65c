"""Waits for a process of the lab to answer, by asking it; never by sleeping and hoping."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from lab import processes
from lab.errors import LabError, last_lines
from lab.paths import State


def await_answer(where: State, name: str, ready: Callable[[], bool], timeout: float = 60.0) -> None:
    """Wait until `ready` says so; it may raise `httpx.HTTPError` while there is no answer yet.

    Raises:
        LabError: the process ended, or was not ready within `timeout` seconds; quotes its log.
    """
    deadline = time.monotonic() + timeout
    log = processes.log_path(where, name)
    while True:
        try:
            if ready():
                return
        except httpx.HTTPError:
            pass
        record = processes.read(where, name)
        if record is None or not record.alive():
            raise LabError(f"starting {name}", f"it ended at once\n{last_lines(log)}", "see its log", log)
        if time.monotonic() > deadline:
            why = f"it was not ready within {timeout:.0f} s\n{last_lines(log)}"
            raise LabError(f"starting {name}", why, "see its log; is the machine very busy?", log)
        time.sleep(0.1)
