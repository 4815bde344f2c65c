"""`down` leaves nothing behind: not after a normal life, not after a crash, not after half an `up`, not done twice.

Takes the lab down, and so is run by hand: `python -m pytest -m lab_down tests/lab`. The cache should be warm. The lab
is brought up again at the end.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import machine, paths, processes

pytestmark = pytest.mark.lab_down

WATCHED_FOLDERS = (
    "/dev/shm",
    "/run",
    "/run/lock",
    "/var/lib",
    "/var/log",
    "/usr/libexec",
    "/etc",
    "/usr/sbin",
    str(Path.home()),
)


def lab(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "lab", *arguments], check=True, cwd=paths.CHECKOUT)


def words(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def footprint() -> dict[str, list[str]]:
    """Everything by which a lab could be noticed on this machine."""
    rules = [line for family in ("iptables-save", "ip6tables-save") for line in words(family)]
    root = paths.state().root
    return {
        "links": sorted(link["ifname"] for link in json.loads("".join(words("ip", "-json", "link")))),
        "routes": sorted(words("ip", "route")),
        # An empty table with its built-in chains stays once it was used; it is no rule.
        "rules": [line for line in rules if line.startswith("-A") or (line.startswith(":") and " - " in line)],
        "mounts": sorted(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        "sysctls": [f"{name}={value(name)}" for name in machine.SYSCTLS],
        "files": sorted(str(entry) for folder in WATCHED_FOLDERS for entry in Path(folder).iterdir()),
        "cgroups": sorted(str(entry) for entry in Path("/sys/fs/cgroup").glob("**/kubepods*")),
        "processes": [line for line in words("ps", "-eo", "args") if str(root) in line],
        "namespaces": sorted(set(words("ip", "netns", "list"))),
        "state": [str(entry) for entry in root.parent.glob(f"{root.name}*")],
    }


def value(name: str) -> str:
    file = Path("/proc/sys") / name
    return file.read_text().strip() if file.exists() else "-"


@pytest.fixture(scope="module")
def before() -> Iterator[dict[str, list[str]]]:
    lab("down")
    yield footprint()
    lab("up")


def test_after_a_normal_life_and_twice(before: dict[str, list[str]]) -> None:
    lab("up")
    assert footprint() != before, "the footprint does not see a lab that is up"
    lab("down")
    assert footprint() == before
    lab("down")
    assert footprint() == before


def test_after_a_crash(before: dict[str, list[str]]) -> None:
    lab("up")
    for record in processes.read_all(paths.state()):
        os.kill(record.pid, signal.SIGKILL)
    lab("down")
    assert footprint() == before


def test_after_a_crash_that_took_the_records(before: dict[str, list[str]]) -> None:
    lab("up")
    for file in paths.state().processes.iterdir():
        file.unlink()
    lab("down")
    assert footprint() == before


@pytest.mark.parametrize("seconds", [1.5, 4, 12])
def test_after_half_an_up(before: dict[str, list[str]], seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-m", "lab", "up"], cwd=paths.CHECKOUT) as up:
        time.sleep(seconds)
        up.kill()
    lab("down")
    assert footprint() == before


def test_a_killed_lab_comes_up_again(before: dict[str, list[str]]) -> None:
    lab("up")
    for record in processes.read_all(paths.state()):
        os.kill(record.pid, signal.SIGKILL)
    lab("up")
    lab("status")
    lab("down")
    assert footprint() == before
