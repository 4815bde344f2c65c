"""`fault`: lets a part of the lab fail for a while, as the real one does on a bad day, and mends it again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab import processes
from lab.errors import LabError
from lab.node.kubernetes import PORT
from lab.node.network import ADDRESS, COMMENT
from lab.paths import State
from lab.platform import gcs
from lab.shell import output
from lab.store_faults import FaultyStore, StoreFault, faulty

_BEHIND = gcs.PORT + 1
"""Where the GCS server listens while a proxy stands in front of it."""
_LOOK_SECONDS = 0.1
_KUBELET_PORT = 10250
_TO_API = ("-p", "tcp", "-d", ADDRESS, "--dport", str(PORT))
_CUT_OFF = "dr-lab-cut-off"
"""The control group (version 2) of a kubelet that is cut off: what it opens then is known by it."""


@contextmanager
def bucket_fault(where: State, fault: StoreFault) -> Iterator[FaultyStore]:
    """Within the context the object store has this fault; after it the GCS server is back, with its objects.

    Nobody listens for less than a second, at the beginning and at the end. A process that is killed within leaves a
    server where nobody looks for it: `up` repairs that, as for any part.

    Raises:
        LabError: the GCS server did not come up again, here or there.
    """
    gcs.up(where, port=_BEHIND)
    try:
        with faulty((ADDRESS, gcs.PORT), (ADDRESS, _BEHIND), state := FaultyStore(fault)):
            yield state
    finally:
        gcs.up(where)


@contextmanager
def bucket_unavailable(where: State) -> Iterator[None]:
    """Within the context the object store answers 503 to everything. As `bucket_fault`."""
    with bucket_fault(where, StoreFault()):
        yield


def fail_bucket(where: State, fault: StoreFault) -> FaultyStore:
    """Have the object store fail so, until the fault is over.

    Raises:
        LabError: as `bucket_fault`.
    """
    with bucket_fault(where, fault) as state:
        while not state.over:
            time.sleep(_LOOK_SECONDS)
    return state


@contextmanager
def pods_cut_off(*addresses: str) -> Iterator[None]:
    """Within the context no packet comes from the pods of these addresses to the API server. As `node_cut_off`."""
    with _dropped([["INPUT", *_TO_API, "-s", address] for address in addresses]):
        yield


@contextmanager
def node_cut_off(where: State) -> Iterator[None]:
    """Within the context no packet passes between kubelet and API server.

    They are dropped, not refused, as where the network of a node is gone: who asks waits. Clients still reach its pods.
    In less than a minute the node is not ready, and then no Cluster can be changed, as CNPG's webhook is on this very
    node; five minutes later Kubernetes evicts what runs there. The rules of a process that is killed within go with
    `down`.

    Raises:
        LabError: kubelet does not run, or a rule could not be made.
    """
    record = processes.read(where, "kubelet")
    if record is None or not record.alive():
        raise LabError("cutting the node off", "kubelet does not run", "run `python -m lab up`")
    root, home = _cgroups(record.pid)
    group = root / _CUT_OFF
    connected = _output("ss", "-Htnp", "state", "established")
    ports = re.findall(rf":(\d+) +{re.escape(ADDRESS)}:{PORT} .*pid={record.pid},", connected)
    group.mkdir(exist_ok=True)
    try:
        (group / "cgroup.procs").write_text(str(record.pid))
        with _dropped(
            [
                ["OUTPUT", "-p", "tcp", "-d", ADDRESS, "--dport", str(_KUBELET_PORT)],
                ["OUTPUT", *_TO_API, "-m", "cgroup", "--path", _CUT_OFF],
                *(["OUTPUT", *_TO_API, "--sport", port] for port in ports),
            ]
        ):
            yield
    finally:
        (home / "cgroup.procs").write_text(str(record.pid))
        group.rmdir()


@contextmanager
def _dropped(rules: Sequence[Sequence[str]]) -> Iterator[None]:
    """Within the context the packets that these iptables rules match are dropped."""
    drop = ["-m", "comment", "--comment", COMMENT, "-j", "DROP"]
    with ExitStack() as stack:
        for rule in rules:
            _output("iptables", "-w", "-I", *rule, *drop)
            stack.callback(_output, "iptables", "-w", "-D", *rule, *drop)
        yield


def _cgroups(process: int) -> tuple[Path, Path]:
    """Where control groups of version 2 are, and the one of a process."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(fields[1]) for fields in mounts if fields[2] == "cgroup2"]
    if not roots:
        raise LabError(
            "cutting the node off", "there are no control groups of version 2", "mount a cgroup2 file system"
        )
    (own,) = re.findall(r"^0::/(.*)$", Path(f"/proc/{process}/cgroup").read_text(), re.MULTILINE)
    return roots[0], roots[0] / own


def _output(*command: str) -> str:
    return output(command, what="cutting the node off", remedy="run as root with CAP_NET_ADMIN")
