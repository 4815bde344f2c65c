"""After a restart of the node: waits until its pods really run again.

What the API server says of a pod is what kubelet last told it, and a kubelet that was killed tells nothing: right after
the restart all looks well. So a container counts only if it was started after kubelet.
"""

from __future__ import annotations

import json
import time
from datetime import datetime

from lab import processes
from lab.cluster import Cluster, Document, condition
from lab.errors import LabError
from lab.paths import State

SETTLED_WITHIN = 240.0
_CLUSTERS = "postgresql.cnpg.io/v1"


def settle(where: State, cluster: Cluster) -> None:
    """Wait until every pod that should run is ready; a fenced instance of a database only has to run.

    Raises:
        LabError: one was not within `SETTLED_WITHIN` seconds; names it.
    """
    record = processes.read(where, "kubelet")
    since = datetime.fromisoformat(record.started_at) if record is not None else None
    deadline = time.monotonic() + SETTLED_WITHIN
    while waiting := _not_settled(cluster, since):
        if time.monotonic() > deadline:
            names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in waiting)
            remedy = "look at them with `python -m lab exec -- kubectl --context lab-dev describe pods -A`, or `reset`"
            raise LabError("waiting for the pods after the node's restart", f"not ready: {names}", remedy)
        cluster.pause(0.5)


def _not_settled(cluster: Cluster, since: datetime | None) -> list[Document]:
    fences = {
        (found["metadata"]["namespace"], found["metadata"]["name"]): fenced_instances(found)
        for found in cluster.list(_CLUSTERS, "Cluster")
    }

    def behind_a_fence(pod: Document) -> bool:
        metadata = pod["metadata"]
        names = fences.get((metadata["namespace"], (metadata.get("labels") or {}).get("cnpg.io/cluster", "")), ())
        return "*" in names or metadata["name"] in names

    return [pod for pod in cluster.list("v1", "Pod") if not settled(pod, since, fenced=behind_a_fence(pod))]


def fenced_instances(found: Document) -> list[str]:
    """The instances of a database that CloudNativePG keeps from running PostgreSQL; `*` is all of them."""
    names: list[str] = json.loads((found["metadata"].get("annotations") or {}).get("cnpg.io/fencedInstances") or "[]")
    return names


def settled(pod: Document, since: datetime | None, *, fenced: bool = False) -> bool:
    """Whether this pod has ended, or is ready (`fenced`: never) with containers started at `since` or later."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    running = [found.get("state", {}).get("running") for found in status.get("containerStatuses") or []]
    if not running or not all(running) or not (fenced or condition(pod, "Ready") == "True"):
        return False
    return since is None or all(datetime.fromisoformat(found["startedAt"]) >= since for found in running)
