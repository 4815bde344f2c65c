"""The Cluster that the traffic goes to, with what its status tells of its health."""

from typing import Any

from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import GROUP, PLURAL, VERSION, with_object_store
from dr.cnpg.object_stores import read_retention_policy
from dr.config.environment import Environment
from dr.core.errors import AccessError
from dr.health.snapshot import Identity, ServingCluster
from dr.kube.api import KubernetesApi
from dr.kube.workloads import external_name

_GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"
"""The annotation by which a service account stands for one of Google's (Workload Identity of GKE)."""


def find_serving(api: KubernetesApi, environment: Environment) -> ServingCluster:
    """The Cluster behind the Service, else the configured source. Raises AccessError, ``serving-cluster-missing`` when
    neither is there.
    """
    namespace = environment.namespace
    host = external_name(api, namespace, environment.service)
    wanted = cluster_behind(host or "", namespace)
    for name in dict.fromkeys([wanted, environment.source_cluster]):
        raw = _find(api, namespace, name) if name else None
        if raw is not None:
            cluster = with_object_store(api, ClusterSnapshot.from_object(raw))
            return ServingCluster.from_object(
                raw, cluster, external_name=host, retention_policy=_retention_policy(api, cluster)
            )
    raise AccessError(
        "serving-cluster-missing",
        f"the Service {namespace}/{environment.service} points to {host or 'nothing'}, and there is no Cluster "
        f"{namespace}/{environment.source_cluster}",
        f"python -m dr latest --env {environment.name} recovers what was archived",
    )


def read_identity(api: KubernetesApi, cluster: ClusterSnapshot) -> Identity:
    """The service account of the Cluster's pods: by default it has the Cluster's name. Raises AccessError."""
    name = str(cluster.spec.get("serviceAccountName") or cluster.name)
    what = f"read the service account {cluster.namespace}/{name}"
    found = api.find(what, api.core.read_namespaced_service_account, name, cluster.namespace)
    annotations = (found.metadata.annotations or {}) if found else {}
    return Identity(account=name, found=found is not None, google=annotations.get(_GOOGLE_ACCOUNT, ""))


def _find(api: KubernetesApi, namespace: str, name: str) -> dict[str, Any] | None:
    where = (GROUP, VERSION, namespace, PLURAL, name)
    found: dict[str, Any] | None = api.find(
        f"read the Cluster {namespace}/{name}", api.custom.get_namespaced_custom_object, *where
    )
    return found


def _retention_policy(api: KubernetesApi, cluster: ClusterSnapshot) -> str:
    if cluster.plugin is None:
        return str((cluster.spec.get("backup") or {}).get("retentionPolicy") or "")
    return read_retention_policy(api, cluster.namespace, cluster.plugin.object_store)
