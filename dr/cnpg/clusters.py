"""CloudNativePG's ``Cluster`` objects."""

import time
from collections.abc import Mapping
from threading import Event
from typing import Any

from dr.cnpg.cluster import UNRECOVERABLE_PHASE, ClusterSnapshot
from dr.cnpg.object_stores import read_object_store
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

GROUP, VERSION, PLURAL = "postgresql.cnpg.io", "v1", "clusters"
RECOVERY_JOB_LABEL, RECOVERY_JOB_ROLES = "cnpg.io/jobRole", ("full-recovery", "snapshot-recovery")
"""On the pods of the Job that recovers (CloudNativePG's ``pkg/specs/jobs.go``), from the object store or from volume
snapshots; the role is its container's name too.
"""


def find_cluster(api: KubernetesApi, namespace: str, name: str) -> ClusterSnapshot | None:
    """The Cluster as it is now, with its object store, or None. Raises AccessError ``cnpg-missing`` where CloudNativePG
    is not installed.
    """
    try:
        raw = api.find(
            f"read the Cluster {namespace}/{name}",
            api.custom.get_namespaced_custom_object,
            GROUP,
            VERSION,
            namespace,
            PLURAL,
            name,
        )
    except AccessError as error:
        if error.code == "api-group-missing":
            raise AccessError(
                "cnpg-missing", "CloudNativePG's CRD is not installed in this cluster", error.remedy
            ) from error
        raise
    return with_object_store(api, ClusterSnapshot.from_object(raw)) if raw else None


def with_object_store(api: KubernetesApi, seen: ClusterSnapshot) -> ClusterSnapshot:
    """The Cluster with the ObjectStore that it archives to by the plugin, if so and it is there. Raises AccessError."""
    if seen.plugin is None:
        return seen
    return seen.with_object_store(read_object_store(api, seen.namespace, seen.plugin.object_store))


def _recovery_pod_phases(api: KubernetesApi, namespace: str, name: str) -> list[str]:
    """The phases of the recovery Job's pods of the Cluster ``name``, one for each attempt that still exists."""
    found = api.ask(
        f"list the recovery pods of {namespace}/{name}",
        api.core.list_namespaced_pod,
        namespace,
        label_selector=f"cnpg.io/cluster={name},{RECOVERY_JOB_LABEL} in ({','.join(RECOVERY_JOB_ROLES)})",
    )
    return [pod.status.phase for pod in found.items]


def gave_up(api: KubernetesApi, cluster: ClusterSnapshot) -> bool:
    """Whether a recovered Cluster has only failed attempts to show. One that has had a primary is never given up."""
    if cluster.primary is not None or cluster.ready:
        return False
    phases = _recovery_pod_phases(api, cluster.namespace, cluster.name)
    return cluster.phase == UNRECOVERABLE_PHASE or (bool(phases) and set(phases) == {"Failed"})


def delete_given_up(api: KubernetesApi, namespace: str, name: str, *, limit: float, stop: Event) -> bool:
    """Delete a Cluster whose recovery gave up, and wait until it and its volumes are gone. ``limit`` is in seconds.

    Returns False, and deletes nothing, when it has not given up (any more): CloudNativePG tries again by itself.

    Raises AccessError ``cluster-not-gone`` at the limit; returns early when ``stop`` is set.
    """
    cluster = find_cluster(api, namespace, name)
    if cluster is None or not gave_up(api, cluster):
        return False
    delete_cluster(api, cluster, limit=limit, stop=stop)
    return True


def delete_cluster(api: KubernetesApi, cluster: ClusterSnapshot, *, limit: float, stop: Event) -> None:
    """Delete just this Cluster, and wait until it and its volumes are gone. ``limit`` is in seconds.

    Raises AccessError ``cluster-not-gone`` at the limit; returns early when ``stop`` is set.
    """
    name, namespace = cluster.name, cluster.namespace
    what = f"delete the Cluster {namespace}/{name}"
    this_one = {"preconditions": {"uid": cluster.uid}}
    api.find(what, api.custom.delete_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, name, body=this_one)
    deadline = time.monotonic() + limit
    while not stop.is_set():
        volumes = api.ask(
            f"list the volumes of {namespace}/{name}",
            api.core.list_namespaced_persistent_volume_claim,
            namespace,
            label_selector=f"cnpg.io/cluster={name}",
        )
        if not volumes.items and find_cluster(api, namespace, name) is None:
            return
        if time.monotonic() > deadline:
            raise AccessError(
                "cluster-not-gone",
                f"the Cluster {namespace}/{name} is still there {limit:.0f} s after its deletion",
                f"see what holds it: kubectl describe cluster {name} -n {namespace}",
            )
        stop.wait(0.2)


def annotate_cluster(api: KubernetesApi, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
    """Set the annotations of a Cluster, and remove those that are None. Raises AccessError."""
    what, body = f"annotate the Cluster {namespace}/{name}", {"metadata": {"annotations": dict(annotations)}}
    api.ask(what, api.custom.patch_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, name, body)


def list_objects(api: KubernetesApi, namespace: str, plural: str) -> list[Mapping[str, Any]]:
    """All objects of another of CloudNativePG's kinds in a namespace; none where this version does not know it."""
    what = f"list the {plural} in {namespace}"
    try:
        answer = api.ask(what, api.custom.list_namespaced_custom_object, GROUP, VERSION, namespace, plural)
    except AccessError as error:
        if error.code == "api-group-missing":
            return []
        raise
    found: list[Mapping[str, Any]] = answer["items"]
    return found


def list_clusters(api: KubernetesApi, namespace: str) -> list[ClusterSnapshot]:
    """All Clusters in a namespace, oldest first, without the object stores of those that archive by a plugin."""
    found = api.ask(
        f"list the Clusters in {namespace}", api.custom.list_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL
    )
    return sorted(map(ClusterSnapshot.from_object, found["items"]), key=lambda cluster: (cluster.created, cluster.name))
