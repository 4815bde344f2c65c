"""Keeping a Cluster from writing, and letting it write again.

CloudNativePG's own means (docs, "Fencing" and "Declarative hibernation"): annotations on the Cluster. A fenced
instance's pod stays, its PostgreSQL is shut down; a hibernated Cluster has no pods. Both keep the volumes, and both can
be undone.
"""

import time
from collections.abc import Mapping
from threading import Event

from dr.clients.cnpg import GROUP, PLURAL, VERSION, find_cluster
from dr.clients.kubernetes import KubernetesApi
from dr.model.errors import AccessError

FENCED = "cnpg.io/fencedInstances"
HIBERNATION = "cnpg.io/hibernation"
ALL_INSTANCES = '["*"]'


def fence(api: KubernetesApi, namespace: str, name: str, *, hibernate: bool, limit: float, stop: Event) -> None:
    """Fence or hibernate the Cluster, and wait until none of its instances serves any more.

    ``limit`` is in seconds. Raises AccessError ``still-serving`` at the limit; returns early when ``stop`` is set.
    """
    _annotate(api, namespace, name, {HIBERNATION: "on"} if hibernate else {FENCED: ALL_INSTANCES})
    deadline = time.monotonic() + limit
    while not stop.is_set() and (serving := _serving(api, namespace, name)):
        if time.monotonic() > deadline:
            raise AccessError(
                "still-serving",
                f"{', '.join(serving)} still serve {limit:.0f} s after {namespace}/{name} was told not to",
                f"look: kubectl describe cluster {name} -n {namespace}; is the operator running?",
            )
        stop.wait(0.2)


def unfence(api: KubernetesApi, namespace: str, name: str, *, limit: float, stop: Event) -> None:
    """Take fencing and hibernation back, and wait until the Cluster is healthy again.

    ``limit`` is in seconds. Raises AccessError ``not-serving`` at the limit; returns early when ``stop`` is set.
    """
    _annotate(api, namespace, name, {FENCED: None, HIBERNATION: None})
    deadline = time.monotonic() + limit
    while not stop.is_set():
        cluster = find_cluster(api, namespace, name)
        if cluster is not None and cluster.healthy and _serving(api, namespace, name):
            return
        if time.monotonic() > deadline:
            raise AccessError(
                "not-serving",
                f"{namespace}/{name} is not healthy {limit:.0f} s after it was let write again "
                f"({cluster.phase if cluster else 'it is gone'})",
                f"look: kubectl describe cluster {name} -n {namespace}",
            )
        stop.wait(0.3)


def _annotate(api: KubernetesApi, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
    api.ask(
        f"annotate the Cluster {namespace}/{name}",
        api.custom.patch_namespaced_custom_object,
        GROUP,
        VERSION,
        namespace,
        PLURAL,
        name,
        {"metadata": {"annotations": dict(annotations)}},
    )


def _serving(api: KubernetesApi, namespace: str, name: str) -> list[str]:
    """The instances of the Cluster that are ready to serve."""
    pods = api.ask(
        f"list the instances of {namespace}/{name}",
        api.core.list_namespaced_pod,
        namespace,
        label_selector=f"cnpg.io/cluster={name},cnpg.io/podRole=instance",
    ).items
    return [
        pod.metadata.name
        for pod in pods
        if any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or ())
    ]
