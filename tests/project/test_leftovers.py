"""A process that tests have started is found as long as it is there, so that none outlives them unseen."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from functools import partial

import psutil

from lab import paths, processes
from tests.support.leftovers import leftovers
from tests.support.waiting import wait_for

SLEEPS = "import time; time.sleep(3600)"
APART = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-ISc', {SLEEPS!r}], stdout=2).pid)"


def _left(pid: int) -> bool:
    return pid in {process.pid for process in leftovers().values()}


def _gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


def test_a_child_is_found_while_it_runs_and_until_it_is_waited_for() -> None:
    with subprocess.Popen([sys.executable, "-ISc", SLEEPS], env={}) as process:
        assert _left(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert _left(process.pid)
    assert not _left(process.pid)


def test_a_child_of_a_child_that_has_ended_is_found_unless_it_is_a_part_of_the_lab() -> None:
    for variables, found in (({}, True), ({processes.MARK: str(paths.state().root)}, False)):
        ended = subprocess.run(
            [sys.executable, "-ISc", APART], env={**os.environ, **variables}, stdout=subprocess.PIPE, check=True
        )
        pid = int(ended.stdout)
        try:
            assert _left(pid) is found
        finally:
            os.kill(pid, signal.SIGKILL)
        wait_for(partial(_gone, pid))
