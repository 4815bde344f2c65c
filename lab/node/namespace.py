"""The node's own mount namespace: what containerd and kubelet mount, the machine does not see, and it ends with them.

Some places are fixed in their sources (`lab.machine.NODE_FOLDERS`). Inside the namespace folders of the state stand
there, so that a container runtime that the machine has of its own is never touched. One process holds the namespace;
the others are started into it.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.machine import NODE_FOLDERS
from lab.paths import State

HOLDER = "node"


def up(where: State) -> None:
    """Have the namespace.

    Raises:
        LabError: it could not be made (its log says why).
    """
    script = ["set -eu"]
    ready = where.node / "namespace-ready"
    for fixed, own in NODE_FOLDERS.items():
        (where.node / own).mkdir(parents=True, exist_ok=True)
        script += [f"mkdir -p {fixed}", f"mount --bind {shlex.quote(str(where.node / own))} {fixed}"]
    script += [f"touch {shlex.quote(str(ready))}", "exec sleep infinity"]
    record = processes.read(where, HOLDER)
    if record is None or not record.alive():
        ready.unlink(missing_ok=True)
    processes.ensure(where, HOLDER, ["unshare", "--mount", "--propagation", "slave", "sh", "-c", "\n".join(script)])
    deadline = time.monotonic() + 10
    while not ready.exists():
        if time.monotonic() > deadline:
            raise LabError(
                what="making the node's mount namespace",
                why="its mounts did not appear",
                remedy="the lab needs CAP_SYS_ADMIN: run it as root of the machine, not of an unprivileged container",
                log=processes.log_path(where, HOLDER),
            )
        time.sleep(0.02)


def inside(where: State) -> list[str]:
    """The words before a command that let it run in the namespace.

    Raises:
        LabError: nobody holds it.
    """
    record = processes.read(where, HOLDER)
    if record is None or not record.alive():
        raise LabError("entering the node's mount namespace", "nobody holds it", "run `python -m lab up`")
    return ["nsenter", f"--mount={Path('/proc') / str(record.pid) / 'ns/mnt'}", "--"]


def identity(where: State) -> str:
    """Changes when the namespace is another one: what runs in the old one must then be started anew."""
    record = processes.read(where, HOLDER)
    return "" if record is None else f"{record.boot_id} {record.pid} {record.start_ticks}"
