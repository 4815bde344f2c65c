"""CloudNativePG's ``Cluster`` objects."""

from dr.clients.kubernetes import KubernetesApi
from dr.model.cluster import ClusterSnapshot
from dr.model.errors import AccessError

GROUP, VERSION, PLURAL = "postgresql.cnpg.io", "v1", "clusters"


def find_cluster(api: KubernetesApi, namespace: str, name: str) -> ClusterSnapshot | None:
    """The Cluster as it is now, or None. Raises AccessError ``cnpg-missing`` where CloudNativePG is not installed."""
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
    return ClusterSnapshot.from_object(raw) if raw else None


def cluster_names(api: KubernetesApi, namespace: str) -> list[str]:
    """The names of all Clusters in a namespace, for saying what there is instead."""
    found = api.ask(
        f"list the Clusters in {namespace}", api.custom.list_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL
    )
    return sorted(item["metadata"]["name"] for item in found["items"])
