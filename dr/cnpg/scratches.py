"""Scratch Clusters in Kubernetes: made, found again, and deleted with all that is theirs."""

import base64
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import GROUP, PLURAL, VERSION, annotate_cluster, delete_cluster, find_cluster
from dr.cnpg.scratch import ENVIRONMENT_LABEL, SCRATCH_LABEL, loaded_annotation, superuser_secret
from dr.config.names import EXTRACTION, Purpose
from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.workloads import external_name


def list_scratches(
    api: KubernetesApi, namespace: str, purpose: Purpose = EXTRACTION, *, environment: str = ""
) -> list[ClusterSnapshot]:
    """The scratch Clusters of a namespace, oldest first; only those of ``environment``, if one is given.

    Raises AccessError.
    """
    only = f",{ENVIRONMENT_LABEL}={environment}" if environment else ""
    found = api.ask(
        f"list the scratch Clusters in {namespace}",
        api.custom.list_namespaced_custom_object,
        GROUP,
        VERSION,
        namespace,
        PLURAL,
        label_selector=f"{SCRATCH_LABEL}={purpose.mark}{only}",
    )
    # Looked at once more: these are deleted, and a server that passed the selector over would list the live one.
    marked = [raw for raw in found["items"] if _marked(raw, purpose, environment)]
    return sorted(map(ClusterSnapshot.from_object, marked), key=lambda cluster: (cluster.created, cluster.name))


def _marked(raw: Mapping[str, Any], purpose: Purpose, environment: str) -> bool:
    labels = raw["metadata"].get("labels") or {}
    mine = not environment or labels.get(ENVIRONMENT_LABEL) == environment
    return labels.get(SCRATCH_LABEL) == purpose.mark and mine


def make_scratch(api: KubernetesApi, manifest: Mapping[str, Any], *, limit: float, stop: Event) -> bool:
    """Create the Cluster; False when it is there. ``limit`` is in seconds, for what an earlier one of its name left.

    Raises StepFailedError ``cluster-not-gone`` when that does not go: CloudNativePG would take an old volume for its
    own.
    """
    name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
    if find_cluster(api, namespace, name) is not None:
        return False
    _await_leftovers_gone(api, namespace, name, limit=limit, stop=stop)
    api.ask(
        f"create the Cluster {namespace}/{name}",
        api.custom.create_namespaced_custom_object,
        GROUP,
        VERSION,
        namespace,
        PLURAL,
        dict(manifest),
    )
    return True


def note_loaded(api: KubernetesApi, cluster: ClusterSnapshot, staging: str, oid: int) -> None:
    """Note at the scratch Cluster which table in the live database its own has become."""
    annotate_cluster(api, cluster.namespace, cluster.name, {loaded_annotation(staging): str(oid)})


def superuser_password(api: KubernetesApi, cluster: ClusterSnapshot, *, limit: float, stop: Event) -> str:
    """The password that CloudNativePG made for the scratch Cluster's superuser. ``limit`` is in seconds.

    Raises AccessError ``not-found`` when there is none by then.
    """
    name = superuser_secret(cluster.name)
    what = f"read the Secret {cluster.namespace}/{name}"
    for _ in poll(limit, stop=stop, what=f"the Secret {cluster.namespace}/{name}"):
        found = api.find(what, api.core.read_namespaced_secret, name, cluster.namespace)
        if found is not None:
            return base64.b64decode(found.data["password"]).decode()
    raise AccessError("not-found", f"could not {what}: it is not there", "repeat the command: it continues")


def check_unserved(api: KubernetesApi, namespace: str, name: str, service: str) -> None:
    """Raise StepFailedError ``scratch-serves`` where ``service`` leads to the Cluster ``name``: a label is copied
    easily, and who moved the traffic there did not think of it as scratch.
    """
    if cluster_behind(external_name(api, namespace, service) or "", namespace) == name:
        raise StepFailedError(
            "scratch-serves",
            f"the Service {namespace}/{service} leads to {name}, which is marked as a scratch Cluster: it stays",
            "if it is to serve, take the mark away: "
            + api.commands.kubectl("label", "cluster", name, f"{SCRATCH_LABEL}-", namespace=namespace),
        )


def delete_scratch(
    api: KubernetesApi,
    namespace: str,
    name: str,
    *,
    service: str,
    limit: float,
    stop: Event,
    purpose: Purpose = EXTRACTION,
) -> bool:
    """Delete the scratch Cluster ``name``, and wait until its volumes and Secrets are gone. ``limit`` is in seconds.

    Returns False when it was gone. A Cluster without the mark of a scratch Cluster is left alone, whatever its name.
    Raises StepFailedError ``cluster-not-gone`` at the limit, and as :func:`check_unserved`.
    """
    check_unserved(api, namespace, name, service)
    found = next((cluster for cluster in list_scratches(api, namespace, purpose) if cluster.name == name), None)
    if found is not None:
        delete_cluster(api, found, limit=limit, stop=stop)
    if found is not None or find_cluster(api, namespace, name) is None:
        _await_leftovers_gone(api, namespace, name, limit=limit, stop=stop)
    return found is not None


def _await_leftovers_gone(api: KubernetesApi, namespace: str, name: str, *, limit: float, stop: Event) -> None:
    """Wait for Kubernetes' garbage collector, which deletes what a Cluster owned."""
    kinds: Mapping[str, Callable[..., Any]] = {
        "volumes": api.core.list_namespaced_persistent_volume_claim,
        "Secrets": api.core.list_namespaced_secret,
        "pods": api.core.list_namespaced_pod,
    }
    for _ in poll(limit, stop=stop, what=f"what is left of the Cluster {namespace}/{name} to go"):
        left = [
            kind
            for kind, call in kinds.items()
            if _listed(api, f"list the {kind} of {namespace}/{name}", call, namespace, f"cnpg.io/cluster={name}")
        ]
        if not left:
            return
    raise StepFailedError(
        "cluster-not-gone",
        f"{', '.join(left)} of the Cluster {namespace}/{name} are still there {limit:.0f} s after it",
        "see what holds them: "
        + api.commands.kubectl("get", "pvc,secret,pod", "-l", f"cnpg.io/cluster={name}", namespace=namespace),
    )


def _listed(api: KubernetesApi, what: str, call: Callable[..., Any], namespace: str, selector: str) -> Sequence[Any]:
    """What is left of a kind; nothing where this user may not list it: to list Secrets is to read them all."""
    try:
        found: Sequence[Any] = api.ask(what, call, namespace, label_selector=selector).items
    except AccessError as error:
        if error.code != "forbidden":
            raise
        return ()
    return found
