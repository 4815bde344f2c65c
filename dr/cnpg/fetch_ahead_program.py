"""The program that fetches WAL with patience, and ahead: brought to a recovery's pods, and taken away again."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from dr.cnpg import in_pod
from dr.cnpg.clusters import GROUP, PLURAL, VERSION
from dr.cnpg.fetch_ahead import PROGRAM, as_declared, config_map_name
from dr.cnpg.recovered import RecoveredCluster
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY


def bring_program(api: KubernetesApi, cluster: RecoveredCluster) -> None:
    """Have the ConfigMap with the program. Raises AccessError."""
    name, namespace = config_map_name(cluster.name), cluster.namespace
    body: Mapping[str, Any] = {
        "metadata": {"name": name, "labels": MANAGED_BY},
        "data": {PROGRAM: files(in_pod).joinpath(PROGRAM).read_text(encoding="utf-8")},
    }
    remove_program(api, namespace, cluster.name)
    api.ask(f"create the ConfigMap {namespace}/{name}", api.core.create_namespaced_config_map, namespace, body)


def remove_program(api: KubernetesApi, namespace: str, cluster: str) -> None:
    """Have no such ConfigMap. Raises AccessError."""
    name = config_map_name(cluster)
    # Looked for first: where there is none, nobody needs to be allowed to delete it.
    if api.find(f"read the ConfigMap {namespace}/{name}", api.core.read_namespaced_config_map, name, namespace):
        api.find(f"delete the ConfigMap {namespace}/{name}", api.core.delete_namespaced_config_map, name, namespace)


def make_as_declared(api: KubernetesApi, cluster: RecoveredCluster) -> None:
    """Take the program out of the Cluster's specification; nothing when the Cluster is gone. Raises AccessError.

    A recovery that is under way has it in its Job, and so in each of that one's pods, while there is the ConfigMap.
    """
    api.find(
        f"patch the Cluster {cluster.namespace}/{cluster.name}",
        api.custom.patch_namespaced_custom_object,
        GROUP,
        VERSION,
        cluster.namespace,
        PLURAL,
        cluster.name,
        dict(as_declared(cluster)),
    )
