"""A recorded process is known for certain, or not taken for ours."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import down, processes
from lab.paths import State
from tests.support.waiting import wait_for


@pytest.fixture
def where(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    for record in processes.read_all(state):
        processes.stop(record, at_once=True)


def started(where: State, name: str = "part") -> processes.Record:
    record = processes.read(where, name)
    assert record is not None
    return record


def test_part_is_started_once(where: State) -> None:
    assert processes.ensure(where, "part", ["sleep", "3600"])
    first = started(where)
    assert not processes.ensure(where, "part", ["sleep", "3600"])
    assert started(where) == first
    assert first.alive()


def test_dead_part_is_started_again(where: State) -> None:
    processes.ensure(where, "part", ["sleep", "3600"])
    first = started(where)
    processes.stop(first)
    assert not first.alive()
    assert processes.ensure(where, "part", ["sleep", "3600"])
    assert started(where).pid != first.pid


@pytest.mark.parametrize("change", [{"settings": ["new"]}, {"env": {"NEW": "1"}}])
def test_changed_settings_restart_the_part(where: State, change: dict[str, list[str]]) -> None:
    processes.ensure(where, "part", ["sleep", "3600"])
    first = started(where)
    assert processes.ensure(where, "part", ["sleep", "3600"], **change)  # type: ignore[arg-type]
    assert not first.alive()
    assert started(where).alive()


LAST_THREAD_STAYS = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(3600,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)  # exit(2): of this thread alone
"""


def test_a_process_whose_first_thread_has_ended_is_alive_until_the_last_has(where: State) -> None:
    processes.ensure(where, "part", [sys.executable, "-c", LAST_THREAD_STAYS])
    record = started(where)
    wait_for(lambda: ") Z " in Path(f"/proc/{record.pid}/stat").read_text())
    assert record.alive()
    processes.stop(record)
    assert not record.alive()


def test_id_given_to_a_stranger_is_not_ours(where: State) -> None:
    processes.ensure(where, "part", ["sleep", "3600"])
    record = started(where)
    stranger = dataclasses.replace(record, start_ticks=record.start_ticks - 1)
    assert not stranger.alive()
    processes.stop(stranger)
    assert record.alive(), "a process with another start time was signalled"


def test_record_of_another_boot_is_not_ours(where: State) -> None:
    processes.ensure(where, "part", ["sleep", "3600"])
    record = dataclasses.replace(started(where), boot_id="another")
    assert not record.alive()


def test_zombie_is_dead() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{child.pid}").exists(), "it was reaped too early to be a zombie"
        assert processes.start_ticks(child.pid) is None


def test_name_with_blanks_and_brackets_does_not_confuse(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/sleep")
    before = uptime()
    with subprocess.Popen([str(program), "3600"]) as child:
        try:
            ticks = processes.start_ticks(child.pid)
            assert ticks is not None
            # Each is cut off to a hundredth of a second.
            assert before - 0.02 <= ticks / os.sysconf("SC_CLK_TCK") <= uptime() + 0.02
        finally:
            child.kill()


def uptime() -> float:
    """Seconds since this machine was started."""
    return float(Path("/proc/uptime").read_text().split()[0])


def test_unreadable_record_is_no_record(where: State) -> None:
    where.processes.mkdir(parents=True)
    (where.processes / "part.json").write_text('{"name": "part"')
    assert processes.read(where, "part") is None
    assert processes.read_all(where) == []


def test_stubborn_part_is_killed(where: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "ENDS_WITHIN", 0.3)
    ready = tmp_path / "ready"
    stubborn = f"trap '' TERM; touch '{ready}'; while :; do sleep 1; done"
    processes.ensure(where, "part", ["sh", "-c", stubborn])
    wait_for(ready.exists)
    record = started(where)
    processes.stop(record)
    wait_for(lambda: not record.alive())


def test_parts_are_found_without_their_records(where: State) -> None:
    processes.ensure(where, "part", ["sh", "-c", "sleep 3600 & wait"])
    pid = started(where).pid
    (where.processes / "part.json").unlink()
    found = list(down._parts(where))
    assert pid in found
    down._end_all("test", lambda: down._parts(where))
    assert list(down._parts(where)) == []
    processes._reap(pid)


@pytest.mark.parametrize(("folder", "found"), [("argocd", True), ("bin", False)])
def test_a_part_that_lost_its_mark_is_known_by_its_program_unless_that_is_for_users(
    where: State, folder: str, found: bool
) -> None:
    program = where.root / folder / "sleep"
    program.parent.mkdir(parents=True)
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "3600"], env={}) as process:
        try:
            assert (process.pid in list(down._parts(where))) is found
        finally:
            process.kill()


def test_other_labs_parts_are_not_found(where: State, tmp_path: Path) -> None:
    processes.ensure(where, "part", ["sleep", "3600"])
    assert list(down._parts(State(tmp_path / "other"))) == []
