"""Keeping a Cluster from writing, and letting it write again.

CloudNativePG's own means (docs, "Fencing" and "Declarative hibernation"): annotations on the Cluster. A fenced
instance's pod stays, its PostgreSQL is shut down; a hibernated Cluster has no pods. Both keep the volumes, and both can
be undone.
"""

import time
from collections.abc import Collection
from threading import Event

from dr.clients.cluster.kubernetes import KubernetesApi
from dr.clients.cnpg.clusters import annotate_cluster, find_cluster
from dr.clients.database.pod_exec import PodExec
from dr.clients.database.sql import CONTAINER
from dr.model.cluster import ClusterSnapshot
from dr.model.errors import AccessError

FENCED = "cnpg.io/fencedInstances"
HIBERNATION = "cnpg.io/hibernation"
ALL_INSTANCES = '["*"]'
_ASK_SECONDS = 10
_GONE = {"not-found", "api-error"}
"""How an exec fails whose container is on its way out. Any other failure says nothing about PostgreSQL."""
_SERVES, _REJECTS, _SILENT, _UNKNOWN = 0, 1, 2, -1
"""What ``pg_isready`` says (PostgreSQL manual). A server that rejects new sessions may still have old ones."""


def fence(api: KubernetesApi, namespace: str, name: str, *, hibernate: bool, limit: float, stop: Event) -> None:
    """Fence or hibernate the Cluster, and wait until none of its instances serves any more.

    ``limit`` is in seconds. Raises AccessError ``still-serving`` at the limit; returns early when ``stop`` is set.
    """
    annotate_cluster(api, namespace, name, {HIBERNATION: "on"} if hibernate else {FENCED: ALL_INSTANCES})
    deadline = time.monotonic() + limit
    while not stop.is_set() and (serving := _in_state(api, namespace, name, {_SERVES, _REJECTS, _UNKNOWN})):
        if time.monotonic() > deadline:
            raise AccessError(
                "still-serving",
                f"{', '.join(serving)} still serve, or could not be asked, {limit:.0f} s after {namespace}/{name} was "
                "told not to",
                f"look: kubectl describe cluster {name} -n {namespace}; is the operator running?",
            )
        stop.wait(0.2)


def forbid_writing(api: KubernetesApi, namespace: str, name: str) -> None:
    """Have all instances of the Cluster fenced, and wait for nothing: where each second counts, and where there may be
    no instance yet. Raises AccessError.
    """
    annotate_cluster(api, namespace, name, {FENCED: ALL_INSTANCES})


def unfence(api: KubernetesApi, namespace: str, name: str, *, limit: float, stop: Event) -> None:
    """Take fencing and hibernation back, and wait until the Cluster is healthy again.

    ``limit`` is in seconds. Raises AccessError ``not-serving`` at the limit; returns early when ``stop`` is set.
    """
    annotate_cluster(api, namespace, name, {FENCED: None, HIBERNATION: None})
    deadline = time.monotonic() + limit
    while not stop.is_set():
        cluster = find_cluster(api, namespace, name)
        if cluster is not None and cluster.healthy and _in_state(api, namespace, name, {_SERVES}):
            return
        if time.monotonic() > deadline:
            raise AccessError(
                "not-serving",
                f"{namespace}/{name} is not healthy {limit:.0f} s after it was let write again "
                f"({cluster.phase if cluster else 'it is gone'})",
                f"look: kubectl describe cluster {name} -n {namespace}",
            )
        stop.wait(0.3)


def kept_still(cluster: ClusterSnapshot) -> bool:
    """Whether the Cluster is told to take no writes, on any of its instances."""
    told = cluster.annotations
    return told.get(FENCED) == ALL_INSTANCES or told.get(HIBERNATION) == "on"


def _in_state(api: KubernetesApi, namespace: str, name: str, states: Collection[int]) -> list[str]:
    """The instances of the Cluster whose PostgreSQL is in one of ``states``.

    They are asked one by one: their pods' readiness is up to half a minute behind.
    """
    pods = api.ask(
        f"list the instances of {namespace}/{name}",
        api.core.list_namespaced_pod,
        namespace,
        label_selector=f"cnpg.io/cluster={name},cnpg.io/podRole=instance",
    ).items
    running = [pod.metadata.name for pod in pods if pod.status.phase == "Running"]
    return [pod for pod in running if _state(api, namespace, pod) in states]


def _state(api: KubernetesApi, namespace: str, pod: str) -> int:
    """The exit code of ``pg_isready`` in the pod."""
    try:
        return (
            PodExec(api, namespace=namespace, pod=pod, container=CONTAINER)
            .run(["pg_isready", "-q"], what=f"ask whether {namespace}/{pod} serves", limit=_ASK_SECONDS)
            .code
        )
    except AccessError as error:
        return _SILENT if error.code in _GONE else _UNKNOWN
