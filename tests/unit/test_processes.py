"""Whether a process is known to be gone, and engines that nobody waits for any more."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dr.clients import processes
from dr.clients.processes import end_orphan, known_dead, orphaned_engine
from tests.builders import a_holder
from tests.doubles import a_dead_process

HERE = socket.gethostname()


def test_a_process_of_this_machine_that_ended_is_known_dead() -> None:
    assert known_dead(a_holder(pid=a_dead_process(), host=HERE))


def test_a_process_that_runs_is_not_dead() -> None:
    assert not known_dead(a_holder(pid=os.getpid(), host=HERE))


def test_of_another_machine_nothing_is_known() -> None:
    assert not known_dead(a_holder(pid=a_dead_process(), host=f"not-{HERE}"))


def test_of_a_holder_in_another_form_nothing_is_known() -> None:
    assert not known_dead(None)


class _Orphan:
    """A program whose parent has ended, that takes SIGINT by ``on_interrupt``, and has our mark or not."""

    def __init__(self, folder: Path, on_interrupt: str, *, marked: bool) -> None:
        program, ready = folder / "pulumi", folder / "ready"
        program.write_text(
            f"#!{sys.executable} -IS\nimport pathlib, signal, sys, time\n"
            f"signal.signal(signal.SIGINT, {on_interrupt})\n"
            f"pathlib.Path({str(ready)!r}).touch()\ntime.sleep(60)\n"
        )
        program.chmod(0o755)
        apart = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
        start = f"import subprocess; print(subprocess.Popen([{str(program)!r}], {apart}).pid)"
        mark = {processes.ENGINE_MARK: "1"} if marked else {}
        ended = subprocess.run(
            [sys.executable, "-ISc", start], capture_output=True, text=True, check=True, env={**os.environ, **mark}
        )
        self.holder = a_holder(pid=int(ended.stdout), host=HERE)
        deadline = time.monotonic() + 10
        while not ready.exists():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    @property
    def parent(self) -> int:
        return psutil.Process(self.holder.pid).ppid()


@pytest.fixture
def orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., _Orphan]]:
    started: list[_Orphan] = []

    def start(on_interrupt: str = "lambda *_: sys.exit(0)", *, marked: bool = True) -> _Orphan:
        started.append(_Orphan(tmp_path, on_interrupt, marked=marked))
        # What takes orphans in is not everywhere the process 1.
        monkeypatch.setattr(processes, "_INIT", started[-1].parent)
        return started[-1]

    yield start
    for one in started:
        with suppress(ProcessLookupError):
            os.kill(one.holder.pid, signal.SIGKILL)


def test_an_engine_whose_parent_was_killed_is_an_orphan(orphan: Callable[..., _Orphan]) -> None:
    left = orphan().holder
    assert orphaned_engine(left)
    assert not orphaned_engine(replace(left, host=f"not-{HERE}")), "of another machine nothing is known"


def test_an_engine_that_someone_else_left_running_is_none(orphan: Callable[..., _Orphan]) -> None:
    assert not orphaned_engine(orphan(marked=False).holder)


def test_an_engine_whose_parent_lives_is_none(orphan: Callable[..., _Orphan], monkeypatch: pytest.MonkeyPatch) -> None:
    left = orphan()
    monkeypatch.setattr(processes, "_INIT", -1)
    assert not orphaned_engine(left.holder)


def test_a_process_that_is_gone_or_unknown_is_none() -> None:
    assert not orphaned_engine(a_holder(pid=a_dead_process(), host=HERE))
    assert not orphaned_engine(None)


@pytest.mark.parametrize("on_interrupt", ["lambda *_: sys.exit(0)", "signal.SIG_IGN"], ids=["obeys", "does not"])
def test_an_orphan_is_ended_one_way_or_the_other(orphan: Callable[..., _Orphan], on_interrupt: str) -> None:
    left = orphan(on_interrupt)
    end_orphan(left.holder, limit=10 if "exit" in on_interrupt else 0.1)
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(left.holder.pid).status() == psutil.STATUS_ZOMBIE


def test_an_orphan_that_ended_by_itself_is_no_failure() -> None:
    end_orphan(a_holder(pid=a_dead_process(), host=HERE), limit=0)


def test_a_process_that_ended_and_was_not_waited_for_is_known_dead() -> None:
    # GIVEN what a killed process is where its parent, or a container's process 1, does not wait for it
    with subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(60)"]) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # THEN
        assert known_dead(a_holder(pid=process.pid, host=HERE))
