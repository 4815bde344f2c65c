"""`down`: ends and removes everything of the lab, whatever state it is in, and nothing else.

It trusts no record alone: after a crash, half an `up`, or a removed folder, what is the lab's is told by marks that
cannot be lost (an environment variable of every part, the overlay under every container's root).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from lab import machine, processes
from lab.errors import LabError
from lab.node import namespace, network
from lab.paths import State

ENDED_WITHIN = 20.0
CGROUPS = Path("/sys/fs/cgroup")


def down(where: State) -> None:
    """Take the lab down. Doing it twice, or with no lab there, is no error.

    Raises:
        LabError: a process survived SIGKILL, or a folder could not be removed.
    """
    end_node(where)
    _end_all("the lab's processes", lambda: chain(_parts(where), _recorded(where)))
    _unmount_below(where.root)
    network.down()
    _remove_cgroups()
    machine.put_back(where)
    try:
        shutil.rmtree(where.root)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LabError(f"removing {where.root}", str(error), "see what holds it: `fuser -vm` or `findmnt`") from error


def end_node(where: State) -> None:
    """End kubelet, containerd and every container; the node's mounts end with them."""
    _end_recorded(where, "kubelet", "containerd")  # in this order: kubelet would start again what is ended
    _end_all("the lab's containers", lambda: _containers(where))
    _end_recorded(where, namespace.HOLDER)


def end_cluster(where: State, *parts: str) -> None:
    """End the node and these processes of its cluster, and remove what the node kept; the bridge stays."""
    end_node(where)
    _end_recorded(where, *parts)
    _unmount_below(where.node)
    _remove_cgroups()
    shutil.rmtree(where.node, ignore_errors=True)


def _end_recorded(where: State, *names: str) -> None:
    for name in names:
        record = processes.read(where, name)
        if record is not None:
            processes.stop(record, at_once=True)


def _end_all(what: str, find: Callable[[], Iterator[int]]) -> None:
    """Kill until none is found: while we look, a dying one may still start another."""
    deadline = time.monotonic() + ENDED_WITHIN
    while found := list(find()):
        if time.monotonic() > deadline:
            raise LabError(
                f"ending {what}", f"still there: {found}", "are they stuck in the kernel? see `ps -o pid,stat,wchan`"
            )
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _containers(where: State) -> Iterator[int]:
    """Shims of the lab's containerd, and processes whose root is an overlay of files below the state."""
    address = os.fsencode(where.containerd_socket)
    below = f"{where.root}/"
    for pid in _pids():
        if processes.start_ticks(pid) is None:
            continue
        try:
            if address in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                if Path(f"/proc/{pid}/comm").read_text().startswith("containerd-shim"):
                    yield pid
                continue
            root = next((line for line in _lines(f"/proc/{pid}/mountinfo") if line.split()[4] == "/"), "")
        except OSError:
            continue
        if " overlay " in root and f"upperdir={below}" in root:
            yield pid


def _recorded(where: State) -> Iterator[int]:
    """Recorded processes. One that writes its own title over its environment, as Redis does, has lost its mark."""
    for file in sorted(where.processes.glob("*.json")):
        record = processes.read(where, file.stem)
        if record is not None and record.alive():
            yield record.pid


def _parts(where: State) -> Iterator[int]:
    """Processes with the mark that `processes.ensure` gives to every part, and so to what a part started.

    One that has written its title over its mark, as Redis does, is told by that title if its record is gone as well: it
    begins with a program of the state folder. What lies in its `bin` is for users, who may run it for other reasons.
    """
    mark = os.fsencode(f"{processes.MARK}={where.root}")
    for pid in _pids():
        try:
            marked = mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            title = Path(os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].split(b" ")[0]))
        except OSError:
            continue
        ours = title.is_relative_to(where.root) and not title.is_relative_to(where.bin)
        if (marked or ours) and processes.start_ticks(pid) is not None:
            yield pid


def _pids() -> list[int]:
    return [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()
    ]


def _lines(file: str) -> list[str]:
    return Path(file).read_text(errors="replace").splitlines()


def _unmount_below(root: Path) -> None:
    # Field 5 of mountinfo is the mount point, with blanks and such as octal escapes (proc(5)).
    points = [line.split()[4].encode().decode("unicode_escape") for line in _lines("/proc/self/mountinfo")]
    for point in sorted((point for point in points if Path(point).is_relative_to(root)), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def _remove_cgroups() -> None:
    """Remove kubelet's cgroups. One with a process in it (of another kubelet) cannot be removed, and stays."""
    for top in (*CGROUPS.glob("*/kubepods"), CGROUPS / "kubepods"):
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue
