"""The lab's long-running processes: each recorded, so that any checkout can see, restart or stop what another started.

A process is known by its id *and* its start time (field 22 of `/proc/<pid>/stat`) *and* the machine's boot id: an id
alone is soon given to a stranger, and the lab must never signal a stranger.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab.cache_keys import content_key
from lab.paths import State

MARK = "DR_LAB_PART_OF"
"""Environment variable of every part, naming the state folder; whatever a part starts inherits it."""
ENDS_WITHIN = 3.0
"""Seconds that a process is given after SIGTERM before SIGKILL."""


_children: dict[int, subprocess.Popen[bytes]] = {}
"""What this process itself started and must reap, by id. It may well end before they do."""


@dataclass(frozen=True)
class Record:
    """One process, as written to `<state>/processes/<name>.json`."""

    name: str
    pid: int
    start_ticks: int
    """Field 22 of `/proc/<pid>/stat`: clock ticks after boot."""
    boot_id: str
    fingerprint: str
    """Key of the command and of the configuration it was started with."""
    command: list[str]
    started_at: str
    """RFC 3339, UTC."""

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        return self.boot_id == boot_id() and start_ticks(self.pid) == self.start_ticks


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When the process with this id started, or None if there is none or it is a zombie.

    While threads of it still end, its first one can be a zombie already: until they are gone too, its ports are taken.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may itself hold blanks and parentheses: what follows the last one is fields 3 and on.
    fields = stat.rpartition(")")[2].split()
    ended = fields[0] in "ZX" and int(fields[17]) <= 1
    return None if ended else int(fields[19])


def read(where: State, name: str) -> Record | None:
    """The record of a part, alive or not; None if there is none or a crash left it unreadable."""
    try:
        return Record(**json.loads((where.processes / f"{name}.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def read_all(where: State) -> list[Record]:
    """Every readable record, in order of name."""
    names = sorted(file.stem for file in where.processes.glob("*.json"))
    return [record for name in names if (record := read(where, name)) is not None]


def ensure(
    where: State,
    name: str,
    command: Sequence[str | Path],
    *,
    settings: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> bool:
    """Have the part run with this command and these settings: leave it, start it, or restart it.

    Args:
        where: the lab.
        name: the part's; one process a name.
        command: the program and its arguments.
        settings: whatever else, when changed, calls for a restart (the text of a configuration file, a key).
        env: added to the environment of this process.

    Returns:
        Whether it was started.
    """
    words = list(map(str, command))
    fingerprint = content_key(*words, "settings", *settings, "env", json.dumps(dict(env or {}), sort_keys=True))
    record = read(where, name)
    if record is not None and record.alive():
        if record.fingerprint == fingerprint:
            return False
        stop(record)
    where.logs.mkdir(parents=True, exist_ok=True)
    where.processes.mkdir(parents=True, exist_ok=True)
    with log_path(where, name).open("ab") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {}), MARK: str(where.root)},
            cwd="/",
            start_new_session=True,
        )
    _children[process.pid] = process
    record = Record(
        name=name,
        pid=process.pid,
        start_ticks=start_ticks(process.pid) or 0,
        boot_id=boot_id(),
        fingerprint=fingerprint,
        command=words,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    temporary = where.processes / f".{name}.new"
    temporary.write_text(json.dumps(asdict(record), indent=1))
    temporary.replace(where.processes / f"{name}.json")
    return True


def log_path(where: State, name: str) -> Path:
    return where.logs / f"{name}.log"


def stop(record: Record, *, at_once: bool = False) -> None:
    """End a recorded process and its session; return when it is gone. A process that is not ours is left alone.

    Args:
        record: the process.
        at_once: do not ask first: nothing that it could still save is worth waiting for.
    """
    for number in (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL):
        if not record.alive():
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(record.pid, number)  # every part leads its own session, and so its own group
        deadline = time.monotonic() + ENDS_WITHIN
        while record.alive() and time.monotonic() < deadline:
            time.sleep(0.02)
    _reap(record.pid)


def _reap(pid: int) -> None:
    child = _children.get(pid)
    if child is not None:  # else another process started it, and its parent reaps it
        child.poll()
