"""One `up`, `down` or `reset` at a time on a machine, whichever checkout it comes from."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import LabError

PATIENCE = 3600.0
"""Seconds; a first `up` on two cores takes three quarters of that."""


@contextmanager
def held(path: Path, say: Callable[[str], None], *, remove: bool = False) -> Iterator[None]:
    """Hold the lock at `path`, once whoever holds it now is done; the kernel frees it when its holder ends, however.

    Args:
        path: the lock's file.
        say: told, once, whom we wait for.
        remove: remove the lock's file at the end (`down` leaves no file behind).

    Raises:
        LabError: another process still held it after `PATIENCE`; says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + PATIENCE
    said = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 64).decode(errors="replace").strip()
            os.close(descriptor)
            if time.monotonic() > deadline:
                why = f"process {holder or '(unknown)'} has been changing the lab for longer than {PATIENCE:.0f} s"
                raise LabError("taking the lab's lock", why, f"see what it does: `ps -fp {holder}`") from None
            if not said:
                say(f"waiting for process {holder or '(unknown)'}, which is changing the lab")
                said = True
            time.sleep(0.2)
            continue
        # A `down` may have removed the file between our open and our lock: then it guards nothing any more.
        if path.exists() and os.fstat(descriptor).st_ino == path.stat().st_ino:
            break
        os.close(descriptor)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        if remove:
            path.unlink(missing_ok=True)
        os.close(descriptor)
