"""After a restart of the node: waits until its pods really run again.

What the API server says of a pod is what kubelet last told it, and a kubelet that was killed tells nothing: right after
the restart all looks well. So a container counts only if it was started after kubelet.
"""

from __future__ import annotations

import time
from datetime import datetime

from lab import processes
from lab.cluster import Cluster, Document, condition
from lab.errors import LabError
from lab.paths import State

SETTLED_WITHIN = 240.0


def settle(where: State, cluster: Cluster) -> None:
    """Wait until every pod that should run is ready.

    Raises:
        LabError: one was not within `SETTLED_WITHIN` seconds; names it.
    """
    record = processes.read(where, "kubelet")
    since = datetime.fromisoformat(record.started_at) if record is not None else None
    deadline = time.monotonic() + SETTLED_WITHIN
    while waiting := [pod for pod in cluster.list("v1", "Pod") if not settled(pod, since)]:
        if time.monotonic() > deadline:
            names = ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in waiting)
            remedy = "look at them with `python -m lab exec -- kubectl --context lab-dev describe pods -A`, or `reset`"
            raise LabError("waiting for the pods after the node's restart", f"not ready: {names}", remedy)
        cluster.pause(0.5)


def settled(pod: Document, since: datetime | None) -> bool:
    """Whether this pod has ended, or is ready with containers started at `since` or later."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    running = [found.get("state", {}).get("running") for found in status.get("containerStatuses") or []]
    if not running or not all(running) or condition(pod, "Ready") != "True":
        return False
    return since is None or all(datetime.fromisoformat(found["startedAt"]) >= since for found in running)
