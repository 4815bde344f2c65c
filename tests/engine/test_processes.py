"""Whether a process is known to be gone, and engines that nobody waits for any more."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dr.engine import processes
from dr.engine.processes import end_orphan, end_orphaned_plugins, known_dead, orphaned_engine, this_process
from tests.support.builders import a_holder
from tests.support.doubles import a_dead_process
from tests.support.waiting import HANG_SECONDS, wait_for

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
    """A program whose parent has ended, that takes SIGINT by ``on_interrupt``, and bears the mark of its ``dr``: that
    parent, unless given.
    """

    def __init__(self, folder: Path, on_interrupt: str, *, name: str, dr: int | str | None) -> None:
        program, ready = folder / name, folder / f"{name}.ready"
        program.write_text(
            f"#!{sys.executable} -IS\nimport pathlib, signal, sys, time\n"
            f"signal.signal(signal.SIGINT, {on_interrupt})\n"
            f"pathlib.Path({str(ready)!r}).touch()\ntime.sleep(3600)\n"
        )
        program.chmod(0o755)
        apart = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
        mark = f"os.environ[{processes.ENGINE_MARK!r}] = str({'os.getpid()' if dr is None else repr(dr)})"
        start = f"import os, subprocess; {mark}; print(subprocess.Popen([{str(program)!r}], {apart}).pid)"
        ended = subprocess.run([sys.executable, "-ISc", start], capture_output=True, text=True, check=True)
        self.holder = a_holder(pid=int(ended.stdout), host=HERE)
        wait_for(ready.exists)

    @property
    def runs(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.holder.pid).status() != psutil.STATUS_ZOMBIE
        return False


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[Callable[..., _Orphan]]:
    started: list[_Orphan] = []

    def start(
        on_interrupt: str = "lambda *_: sys.exit(0)", *, name: str = "pulumi", dr: int | str | None = None
    ) -> _Orphan:
        started.append(_Orphan(tmp_path, on_interrupt, name=name, dr=dr))
        return started[-1]

    yield start
    for one in started:
        with suppress(ProcessLookupError):
            os.kill(one.holder.pid, signal.SIGKILL)
    wait_for(lambda: not any(one.runs for one in started))


def test_an_engine_whose_parent_was_killed_is_an_orphan(orphan: Callable[..., _Orphan]) -> None:
    left = orphan().holder
    assert orphaned_engine(left)
    assert not orphaned_engine(replace(left, host=f"not-{HERE}")), "of another machine nothing is known"


def test_an_engine_that_someone_else_left_running_is_none(orphan: Callable[..., _Orphan]) -> None:
    assert not orphaned_engine(orphan(dr="").holder)


def test_an_engine_whose_dr_lives_is_none(orphan: Callable[..., _Orphan]) -> None:
    # Its parent is gone all the same, as an engine's would be where something stands in between.
    assert not orphaned_engine(orphan(dr=os.getpid()).holder)


def test_an_engine_whose_dr_has_a_successor_with_its_process_id_is_an_orphan(
    orphan: Callable[..., _Orphan], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = orphan(dr=os.getpid())
    created = psutil.Process.create_time
    later = {os.getpid(): 3600.0}
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: created(process) + later.get(process.pid, 0))
    assert orphaned_engine(left.holder)


@pytest.mark.parametrize(
    ("name", "dr", "ended"),
    [("pulumi-resource-any", None, True), ("pulumi-resource-any", "", False), ("pulumi", None, False)],
    ids=["a plugin", "another's plugin", "an engine"],
)
def test_only_plugins_of_ours_that_are_left_alone_are_ended(
    orphan: Callable[..., _Orphan], name: str, dr: str | None, ended: bool
) -> None:
    left = orphan(name=name, dr=dr)
    end_orphaned_plugins()
    wait_for(lambda: left.runs is not ended)


def test_a_plugin_whose_dr_lives_is_not_ended(orphan: Callable[..., _Orphan]) -> None:
    left = orphan(name="pulumi-resource-any", dr=os.getpid())
    end_orphaned_plugins()
    assert left.runs


def test_a_process_that_is_gone_or_unknown_is_none() -> None:
    assert not orphaned_engine(a_holder(pid=a_dead_process(), host=HERE))
    assert not orphaned_engine(None)


@pytest.mark.parametrize("on_interrupt", ["lambda *_: sys.exit(0)", "signal.SIG_IGN"], ids=["obeys", "does not"])
def test_an_orphan_is_ended_one_way_or_the_other(orphan: Callable[..., _Orphan], on_interrupt: str) -> None:
    left = orphan(on_interrupt)
    end_orphan(left.holder, limit=HANG_SECONDS if "exit" in on_interrupt else 0.1)
    wait_for(lambda: not left.runs)


def test_an_orphan_that_ended_by_itself_is_no_failure() -> None:
    end_orphan(a_holder(pid=a_dead_process(), host=HERE), limit=0)


def test_a_process_that_ended_and_was_not_waited_for_is_known_dead() -> None:
    # GIVEN what a killed process is where its parent, or a container's process 1, does not wait for it
    with subprocess.Popen([sys.executable, "-ISc", "import time; time.sleep(3600)"]) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # THEN
        assert known_dead(a_holder(pid=process.pid, host=HERE))


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs under a number which its image does not know."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert (this_process().user, this_process().pid) == (f"uid-{os.getuid()}", os.getpid())
