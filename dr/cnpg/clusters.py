"""CloudNativePG's ``Cluster`` objects, and the ``ObjectStore`` and plugin that they archive by."""

from collections.abc import Mapping
from threading import Event
from typing import Any

from dr.cnpg.cluster import BARMAN_PLUGIN, UNRECOVERABLE_PHASE, ClusterSnapshot
from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
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

    Returns False, and deletes nothing, when it has not given up (any more): CloudNativePG tries again.

    Raises StepFailedError ``cluster-not-gone`` at the limit.
    """
    cluster = find_cluster(api, namespace, name)
    if cluster is None or not gave_up(api, cluster):
        return False
    delete_cluster(api, cluster, limit=limit, stop=stop)
    return True


def delete_cluster(api: KubernetesApi, cluster: ClusterSnapshot, *, limit: float, stop: Event) -> None:
    """Delete just this Cluster, and wait until it and its volumes are gone. ``limit`` is in seconds.

    Raises StepFailedError ``cluster-not-gone`` at the limit.
    """
    name, namespace = cluster.name, cluster.namespace
    what = f"delete the Cluster {namespace}/{name}"
    this_one = {"preconditions": {"uid": cluster.uid}}
    api.find(what, api.custom.delete_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, name, body=this_one)
    for _ in poll(limit, stop=stop, what=f"the Cluster {namespace}/{name} to go"):
        volumes = api.ask(
            f"list the volumes of {namespace}/{name}",
            api.core.list_namespaced_persistent_volume_claim,
            namespace,
            label_selector=f"cnpg.io/cluster={name}",
        )
        if not volumes.items and find_cluster(api, namespace, name) is None:
            return
    raise StepFailedError(
        "cluster-not-gone",
        f"the Cluster {namespace}/{name} is still there {limit:.0f} s after its deletion",
        f"see what holds it: {api.commands.kubectl('describe', 'cluster', name, namespace=namespace)}",
    )


def annotate_cluster(api: KubernetesApi, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
    """Set the annotations of a Cluster, and remove those that are None. Raises AccessError."""
    what, body = f"annotate the Cluster {namespace}/{name}", {"metadata": {"annotations": dict(annotations)}}
    api.ask(what, api.custom.patch_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, name, body)


def patch_spec(api: KubernetesApi, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
    """Merge ``patch`` into the Cluster's specification. Raises AccessError."""
    body, what = {"spec": dict(patch)}, f"change the specification of the Cluster {namespace}/{name}"
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


OBJECT_STORE_GROUP, OBJECT_STORE_VERSION, OBJECT_STORE_PLURAL = "barmancloud.cnpg.io", "v1", "objectstores"
_PLUGIN_LABEL = "cnpg.io/pluginName"
"""On the Service of a plugin: by it CloudNativePG finds it (its ``pkg/utils/labels_annotations.go``)."""
_SERVICE_LABEL = "kubernetes.io/service-name"


def read_object_store(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, Any] | None:
    """The ``spec.configuration`` of an ObjectStore, or None where it, or its kind, is not there. Raises AccessError."""
    found = _find(api, namespace, name)
    configuration: Mapping[str, Any] | None = found["spec"]["configuration"] if found else None
    return configuration


def read_retention_policy(api: KubernetesApi, namespace: str, name: str) -> str:
    """For how long the plugin keeps what is in an ObjectStore; empty when for ever, or it is not there."""
    found = _find(api, namespace, name)
    return str(found["spec"].get("retentionPolicy") or "") if found else ""


def _find(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, Any] | None:
    what = f"read the ObjectStore {namespace}/{name}"
    try:
        found: Mapping[str, Any] | None = api.find(
            what,
            api.custom.get_namespaced_custom_object,
            OBJECT_STORE_GROUP,
            OBJECT_STORE_VERSION,
            namespace,
            OBJECT_STORE_PLURAL,
            name,
        )
    except AccessError as error:
        if error.code == "api-group-missing":
            return None
        raise
    return found


def plugin_fault(api: KubernetesApi) -> str:
    """Why the operator cannot reach the plugin; empty when it can, or this user may not look.

    Raises AccessError when the API server cannot be asked.
    """
    try:
        services = api.ask(
            "find the Service of the Barman Cloud plugin",
            api.core.list_service_for_all_namespaces,
            label_selector=f"{_PLUGIN_LABEL}={BARMAN_PLUGIN}",
        ).items
        if not services:
            return f"no Service of the cluster has the label {_PLUGIN_LABEL}={BARMAN_PLUGIN}: it is not installed"
        for service in services:
            name, namespace = service.metadata.name, service.metadata.namespace
            # As plain values: of a Service without pods the endpoints are null, which the client takes for a fault.
            slices = api.ask_plain(
                f"list the endpoints of the Service {namespace}/{name}",
                api.discovery.list_namespaced_endpoint_slice,
                namespace,
                label_selector=f"{_SERVICE_LABEL}={name}",
            )["items"]
            if any(endpoint["conditions"].get("ready") for one in slices for endpoint in one["endpoints"] or ()):
                return ""
        places = ", ".join(f"{service.metadata.namespace}/{service.metadata.name}" for service in services)
    except AccessError as error:
        if error.code == "forbidden":
            return ""
        raise
    return f"its Service {places} has no pod that is ready"
