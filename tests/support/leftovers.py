"""What tests have started and not ended: nothing that a test starts outlives it."""

import os
from contextlib import suppress

import psutil

from lab import paths, processes

MARK = "POSTGRES_DR_TESTS"
"""Environment variable of the tests, with their process ID: whatever they start inherits it."""


def leftovers() -> dict[str, psutil.Process]:
    """The processes that this one, or one that it started, has left running or not waited for, by what they are.

    The lab's own parts are none where a command of the lab started them: they are there to stay.
    """
    found: dict[str, psutil.Process] = {}
    mine = psutil.Process().children(recursive=True)
    for process in [*mine, *psutil.process_iter()]:
        with suppress(psutil.Error):
            if process in mine or (process.pid != os.getpid() and _marked(process.environ())):
                ended = process.status() == psutil.STATUS_ZOMBIE
                what = f"{process.name()}, ended and not waited for" if ended else " ".join(process.cmdline())
                found[f"{process.pid}: {what}"] = process
    return found


def _marked(variables: dict[str, str]) -> bool:
    stays = variables.get(processes.MARK) == str(paths.state().root)
    return variables.get(MARK) == str(os.getpid()) and not stays
