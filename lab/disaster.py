"""`cluster`: the whole cluster is lost, and what Google gives whoever asks for another one.

What is lost is what goes with a GKE cluster: node, etcd, volumes, and Argo CD with its Applications. What is not: the
bucket, the Git repository, Pulumi's state, and whatever else is in the cloud.
"""

from __future__ import annotations

import shutil

from rich.console import Console

from lab import down, up
from lab.data import repository
from lab.errors import LabError
from lab.gcp import component as google
from lab.node import kubernetes
from lab.paths import Cache, State
from lab.platform import argocd, dns, secrets, storage
from lab.steps import Runner, Step
from lab.tools import programs
from lab.tools.toolchain import toolchain

CONTROL_PLANE = ("proxy", "scheduler", "controllers", "apiserver", "etcd")
LOST = (
    *(argocd.APPLICATION_SETS, argocd.CONTROLLER, argocd.REPOSITORIES, argocd.REDIS),
    *(secrets.NAME, storage.NAME, dns.NAME, *CONTROL_PLANE),
)
"""The processes that a cluster consists of, besides its node."""


def lose(where: State, cache: Cache, console: Console) -> None:
    """Lose the cluster. Git declares all of the platform first, as in production: its operator too, and its namespaces.

    Raises:
        LabError: the lab was never up, or something of it could not be removed.
    """
    if not where.buckets.exists():
        raise LabError("losing the cluster", "there is no lab", "run `python -m lab up`")

    def declare() -> None:
        operator = programs.CNPG.folder(cache, toolchain(cache)) / programs.CNPG_MANIFEST
        repository.declare_platform(where, operator)

    def end() -> None:
        down.end_cluster(where, *LOST)
        for folder in (where.volumes, where.argocd, where.root / "kubectl-cache"):
            shutil.rmtree(folder, ignore_errors=True)
        for mark in (where.data_mark, where.plugin_mark):
            mark.unlink(missing_ok=True)
        where.gone_mark.touch()

    steps = [
        Step("platform-in-git", "declare the platform in Git", 1, lambda _: declare()),
        Step("node-gone", "end the node, and remove what it kept", 5, lambda _: end(), ("platform-in-git",)),
        Step("cluster-gone", "forget it at Google", 2, lambda _: google.lose_cluster(where), ("node-gone",)),
    ]
    Runner(console, where.logs, cache.durations).run(steps)


def renew(where: State, cache: Cache, console: Console) -> None:
    """Have an empty cluster.

    Raises:
        LabError: one is there, or a part of the new one did not come up.
    """
    if kubernetes.healthy(where):
        raise LabError("making a new cluster", "one is there", "lose it first: `python -m lab cluster gone`")
    up.new_cluster(where, cache, console)
