"""What a Cluster that archives by the Barman Cloud plugin needs beside itself: its ``ObjectStore``, and the plugin."""

from collections.abc import Mapping
from typing import Any

from dr.cnpg.cluster import BARMAN_PLUGIN
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

GROUP, VERSION, PLURAL = "barmancloud.cnpg.io", "v1", "objectstores"
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
            what, api.custom.get_namespaced_custom_object, GROUP, VERSION, namespace, PLURAL, name
        )
    except AccessError as error:
        if error.code == "api-group-missing":
            return None
        raise
    return found


def plugin_fault(api: KubernetesApi) -> str:
    """Why the operator cannot reach the plugin; empty when nothing speaks against it, or this user may not look.

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
            slices = api.ask(
                f"list the endpoints of the Service {namespace}/{name}",
                api.discovery.list_namespaced_endpoint_slice,
                namespace,
                label_selector=f"{_SERVICE_LABEL}={name}",
                _preload_content=False,
            ).json()["items"]
            if any(endpoint["conditions"].get("ready") for one in slices for endpoint in one["endpoints"] or ()):
                return ""
        places = ", ".join(f"{service.metadata.namespace}/{service.metadata.name}" for service in services)
    except AccessError as error:
        if error.code == "forbidden":
            return ""
        raise
    return f"its Service {places} has no pod that is ready"
