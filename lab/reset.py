"""`reset`: the platform stays, the data is made anew, as if no recovery had ever been tried."""

from __future__ import annotations

from rich.console import Console

from lab import gitops
from lab.cluster import Cluster
from lab.data import content, removal
from lab.errors import LabError
from lab.gcp import component as google
from lab.node import kubernetes
from lab.paths import CHECKOUT, Cache, State
from lab.steps import Runner, Step, Task


def reset(where: State, cache: Cache, console: Console, *, by_plugin: bool = False) -> None:
    """Put the data back; with `by_plugin`, one database of it archives by the Barman Cloud plugin.

    Raises:
        LabError: the lab is not up, or its data could not be removed or made.
    """
    if not kubernetes.healthy(where):
        raise LabError("putting the lab's data back", "the lab is not up", "run `python -m lab up`")

    def remove(task: Task) -> None:
        removal.remove(where, Cluster(where, task.cancelled))
        google.sow(where, CHECKOUT)

    def make(task: Task) -> None:
        def note(text: str) -> None:
            task.note = text

        content.make(where, task.cancelled, note, by_plugin=by_plugin)

    steps = [
        *gitops.off_steps(where),  # else Argo CD would make anew what is removed
        Step("remove-data", "remove databases, backups, workloads and Pulumi state", 15, remove, (gitops.LAST_OFF,)),
        Step("data", "make the databases, their backups and workloads", 60, make, ("remove-data",)),
    ]
    Runner(console, where.logs, cache.durations).run(steps)
