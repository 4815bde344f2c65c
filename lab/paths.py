"""Where the lab keeps things: one cache that outlives it, one state that dies with it, both outside the clone.

The cache is shared by every checkout of a user and holds only what is keyed by its content. The state is the one lab
of this machine; whoever finds the folder can see what runs and take it down.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = CHECKOUT / "lab"

SOCKET_PATH_LIMIT = 107
"""Bytes in the path of a Unix socket: `sun_path` of unix(7) is 108 with its closing zero."""
LONGEST_SOCKET = "kubelet/plugins_registry/registration.sock"


@dataclass(frozen=True)
class Cache:
    """What may be thrown away at the cost of time."""

    root: Path

    @property
    def go(self) -> Path:
        """Go's own caches and, if it was fetched, Go itself."""
        return self.root / "go"

    @property
    def bin(self) -> Path:
        """One folder for each built program: `<name>-<key>`."""
        return self.root / "bin"

    @property
    def images(self) -> Path:
        """One archive for each image: `<name>-<key>.tar`."""
        return self.root / "images"

    @property
    def durations(self) -> Path:
        """How long each step took the last time, in seconds (JSON)."""
        return self.root / "durations.json"


@dataclass(frozen=True)
class State:
    """The one lab of this machine."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def bin(self) -> Path:
        """Links to the programs that a user of the lab calls; first in the `PATH` that `lab env` prints."""
        return self.root / "bin"

    @property
    def config(self) -> Path:
        """The checkout's `Pulumi*.yaml` with the lab's overrides on top."""
        return self.root / "config"

    @property
    def kubeconfig(self) -> Path:
        """For users: contexts `lab-dev` and `lab-prod`, and no current one."""
        return self.root / "kubeconfig"

    @property
    def node(self) -> Path:
        """Everything of the Kubernetes node: certificates, configuration, etcd, kubelet, containerd."""
        return self.root / "node"

    @property
    def admin_kubeconfig(self) -> Path:
        """For the lab's own parts: the same user, with a current context."""
        return self.node / "admin.kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        return self.node / "containerd.sock"

    @property
    def volumes(self) -> Path:
        """One folder for each PersistentVolume."""
        return self.root / "volumes"

    @property
    def buckets(self) -> Path:
        return self.root / "buckets"

    @property
    def cloud(self) -> Path:
        """What is in the cloud of the double of Google (JSON)."""
        return self.root / "cloud" / "cloud.json"

    @property
    def charts(self) -> Path:
        """The Helm repository that the double of Google serves."""
        return self.root / "charts"

    @property
    def authorities(self) -> Path:
        """The certificates that programs on the lab trust: the machine's, and the cluster's (PEM)."""
        return self.root / "authorities.pem"

    @property
    def pulumi(self) -> Path:
        """The file backend of the Pulumi state of the lab's environments."""
        return self.root / "pulumi"

    @property
    def argocd(self) -> Path:
        """What Argo CD's processes keep on disk."""
        return self.root / "argocd"

    @property
    def repository(self) -> Path:
        """The bare Git repository that Argo CD reads, once `gitops on` has made it."""
        return self.root / "git" / "platform.git"

    @property
    def repository_clone(self) -> Path:
        """A clone of it to edit, commit and push in, as an operator has one."""
        return self.root / "git" / "platform"

    @property
    def dr(self) -> Path:
        """What `dr` keeps on a machine: its journals and workspaces."""
        return self.root / "dr"

    @property
    def processes(self) -> Path:
        """The record of what runs: one JSON file for each part."""
        return self.root / "processes"

    @property
    def machine_before(self) -> Path:
        """What `up` changes on the machine, as it was before (JSON); `down` puts it back."""
        return self.root / "machine-before.json"

    @property
    def plugin_mark(self) -> Path:
        """There while the data is that of `reset --plugin`."""
        return self.root / "data-by-plugin"

    @property
    def gone_mark(self) -> Path:
        """There from `cluster gone` until `reset`: the data went with the cluster."""
        return self.root / "cluster-gone"

    @property
    def data_mark(self) -> Path:
        """Written when the lab's data is complete; holds the key of the sources that it was made from."""
        return self.root / "data-made"


def cache() -> Cache:
    """The cache of this user: `$DR_LAB_CACHE`, or `dr-lab` in the XDG cache folder."""
    named = os.environ.get("DR_LAB_CACHE")
    if named:
        return Cache(Path(named).resolve())
    return Cache(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dr-lab")


def state() -> State:
    """The state of this machine's lab: `$DR_LAB_STATE`, or `/var/lib/dr-lab`.

    Raises:
        LabError: the path is so long that a Unix socket below it could not be bound.
    """
    root = Path(os.environ.get("DR_LAB_STATE") or "/var/lib/dr-lab").resolve()
    longest = len(os.fsencode(root / "node" / LONGEST_SOCKET))
    if longest > SOCKET_PATH_LIMIT:
        raise LabError(
            what="choosing the state folder",
            why=f"{root} is {longest - SOCKET_PATH_LIMIT} bytes too long: the node's sockets lie below it, "
            f"and a Unix socket's path ends at {SOCKET_PATH_LIMIT} bytes",
            remedy="set DR_LAB_STATE to a shorter path",
        )
    return State(root)


def lock_path(where: State) -> Path:
    """The lock lies beside the state, so that removing the state does not remove the lock under its holder."""
    return where.root.with_name(where.root.name + ".lock")
