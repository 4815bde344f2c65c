"""`gitops`: hands the lab's data over to Argo CD, as in production, and takes it back as if it had never been there.

It is off unless asked for: most of what is tried on the lab is to be seen without somebody else who changes it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from lab import processes
from lab.cluster import Cluster, Document
from lab.data import repository
from lab.data.removal import NAMESPACES
from lab.errors import LabError
from lab.node import kubernetes
from lab.paths import Cache, State
from lab.platform import argocd
from lab.steps import Runner, Step, Task

TAKEN_OVER_WITHIN = 180.0
AT_REST_WITHIN = 60.0
UNMARKED_WITHIN = 60.0

TRACKING = "argocd.argoproj.io/tracking-id"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
FIELD_MANAGER = "argocd-controller"

_REMEDY = "see its log, and `python -m lab exec -- kubectl --context lab-dev -n argocd get applications -o yaml`"


@dataclass(frozen=True)
class Application:
    """One of Argo CD's Applications as it is now."""

    name: str
    sync: str
    health: str
    revision: str
    automated: bool
    """Whether it syncs by itself."""
    running: bool
    """Whether it is at something."""
    message: str
    """What it says went wrong, if anything."""

    @classmethod
    def of(cls, found: Document) -> Application:
        """What an object of the cluster says."""
        status = found.get("status") or {}
        operation = status.get("operationState") or {}
        automated = (found["spec"].get("syncPolicy") or {}).get("automated")
        messages = [str(item.get("message")) for item in status.get("conditions") or []]
        if operation.get("phase") in ("Failed", "Error"):
            messages.append(str(operation.get("message")))
        return cls(
            name=found["metadata"]["name"],
            sync=(status.get("sync") or {}).get("status", "Unknown"),
            health=(status.get("health") or {}).get("status", "Unknown"),
            revision=(status.get("sync") or {}).get("revision", ""),
            automated=automated is not None and automated.get("enabled") is not False,
            running="operation" in found or operation.get("phase") == "Running",
            message="; ".join(messages),
        )

    def settled(self, revision: str) -> bool:
        """Whether all is as this commit says, and well."""
        return (self.sync, self.health, self.revision) == ("Synced", "Healthy", revision) and not self.running


def on(where: State, cache: Cache, console: Console, *, declares_enabled: bool) -> None:
    """Have Argo CD keep the lab's data as a new Git repository declares it.

    Raises:
        LabError: the lab is not up, or not all was synced and healthy in time.
    """
    what = "handing the lab's data over to Argo CD"
    _require_up(where, what)
    if not where.data_mark.exists():
        raise LabError(what, "there is no data", "run `python -m lab up`, or `reset`")

    def hand_over(task: Task) -> None:
        cluster = Cluster(where, task.cancelled)
        root = repository.files(repository.url(where), declares_enabled=declares_enabled)[repository.ROOT_FILE]
        cluster.apply([yaml.safe_load(root)])
        _await_settled(where, cluster, task, what)

    steps = [
        *off_steps(where),
        Step(
            "gitops-repository",
            "make the Git repository",
            0.5,
            lambda _: repository.make(where, declares_enabled=declares_enabled),
            (LAST_OFF,),
        ),
        Step("gitops-sync", "let Argo CD sync", 7, hand_over, ("gitops-repository",)),
    ]
    Runner(console, where.logs, cache.durations).run(steps)


def off(where: State, cache: Cache, console: Console) -> None:
    """Have nobody but the lab itself declare anything; all that Argo CD kept stays as it is.

    Raises:
        LabError: the lab is not up, or Argo CD did not let go.
    """
    _require_up(where, "taking the lab's data back from Argo CD")
    Runner(console, where.logs, cache.durations).run(off_steps(where))


LAST_OFF = "gitops-unmark"


def off_steps(where: State) -> list[Step]:
    """The steps of `off`, for whoever needs it first; the last of them is `LAST_OFF`."""

    def on_cluster(act: Callable[[State, Cluster], str | None]) -> Callable[[Task], str | None]:
        return lambda task: act(where, Cluster(where, task.cancelled))

    return [
        Step("gitops-off", "remove the Applications, and nothing of theirs", 2, on_cluster(_retire)),
        Step(LAST_OFF, "remove Argo CD's marks", 2, on_cluster(_unmark), ("gitops-off",)),
    ]


def applications(cluster: Cluster) -> list[Application]:
    """Every Application there is, the root first, as it declares the others."""
    found = [Application.of(item) for item in cluster.list(argocd.API, "Application", argocd.NAMESPACE)]
    return sorted(found, key=lambda application: (application.name != repository.ROOT, application.name))


def status(where: State) -> dict[str, Any]:
    """Whether it is on, what each Application says, and where the repository is; changes nothing.

    Raises:
        LabError: the lab is not up.
    """
    _require_up(where, "looking at Argo CD's Applications")
    found = applications(Cluster(where))
    made = where.repository.exists()
    return {
        "on": bool(found),
        "applications": [asdict(application) for application in found],
        "revision": repository.head(where) if made else None,
        "repository": repository.url(where) if made else None,
        "clone": str(where.repository_clone) if made else None,
    }


def _require_up(where: State, what: str) -> None:
    if not kubernetes.healthy(where):
        raise LabError(what, "the lab is not up", "run `python -m lab up`")


def _await_settled(where: State, cluster: Cluster, task: Task, what: str) -> None:
    """Wait until every Application is synced to the repository's head, and healthy."""
    revision = repository.head(where)
    deadline = time.monotonic() + TAKEN_OVER_WITHIN
    wanted = set(repository.applications())
    while True:
        found = {application.name: application for application in applications(cluster)}
        waiting = sorted(name for name in wanted if name not in found or not found[name].settled(revision))
        if not waiting:
            return
        task.note = f"waiting for {', '.join(waiting)}"
        if time.monotonic() > deadline:
            why = "\n".join(str(found.get(name, f"{name} is not there")) for name in waiting)
            raise LabError(what, f"not within {TAKEN_OVER_WITHIN:.0f} s:\n{why}", _REMEDY, _log(where))
        cluster.pause(0.2)


def _retire(where: State, cluster: Cluster) -> str | None:
    """Remove first what would make the others anew: sets, then the root; each only when it is at nothing any more."""
    for item in cluster.list(argocd.API, "ApplicationSet", argocd.NAMESPACE):
        cluster.delete(argocd.API, "ApplicationSet", item["metadata"]["name"], argocd.NAMESPACE, orphan=True)
    there = [application.name for application in applications(cluster)]
    for name in there:
        _put_to_rest(where, cluster, name)
        cluster.delete(argocd.API, "Application", name, argocd.NAMESPACE)
    return None if there else "there are none"


def _put_to_rest(where: State, cluster: Cluster, name: str) -> None:
    """Take away what would start a sync or make removal cascade; wait until a running one has ended."""
    deadline = time.monotonic() + AT_REST_WITHIN
    change = {"metadata": {"finalizers": None}, "spec": {"syncPolicy": None}}
    while (found := cluster.get(argocd.API, "Application", name, argocd.NAMESPACE)) is not None:
        if found["spec"].get("syncPolicy") or found["metadata"].get("finalizers"):
            cluster.patch(found, change)
        elif not Application.of(found).running or not _controller_runs(where):
            return
        if time.monotonic() > deadline:
            why = f"it still syncs after {AT_REST_WITHIN:.0f} s"
            raise LabError(f"stopping Application {name}", why, _REMEDY, _log(where))
        cluster.pause(0.1)


def _controller_runs(where: State) -> bool:
    record = processes.read(where, argocd.CONTROLLER)
    return record is not None and record.alive()


def _log(where: State) -> Path:
    return processes.log_path(where, argocd.CONTROLLER)


def unmarked(found: Document) -> Document | None:
    """The change that takes Argo CD's marks from an object, and its claims on fields; None if it has none."""
    metadata = found["metadata"]
    if TRACKING not in (metadata.get("annotations") or {}):
        return None
    claims = [claim for claim in metadata.get("managedFields") or [] if claim["manager"] != FIELD_MANAGER]
    return {
        "metadata": {
            "annotations": {TRACKING: None, LAST_APPLIED: None},
            "managedFields": claims,
            "resourceVersion": metadata["resourceVersion"],  # the claims of whoever was faster are not lost
        }
    }


def _unmark(_where: State, cluster: Cluster) -> str | None:
    """Look again until nothing is found: a Deployment hands its marks on to its ReplicaSets."""
    deadline = time.monotonic() + UNMARKED_WITHIN
    changed = False
    while True:
        marked = [
            (found, change)
            for namespace in NAMESPACES
            for found in cluster.list_all(namespace)
            if (change := unmarked(found)) is not None
        ]
        if not marked:
            return None if changed else "there are none"
        if time.monotonic() > deadline:
            names = ", ".join(f"{found['kind']} {found['metadata']['name']}" for found, _ in marked)
            raise LabError("removing Argo CD's marks", f"still marked: {names}", "run the command again")
        for found, change in marked:
            cluster.patch(found, change)
        changed = True
