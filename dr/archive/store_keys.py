"""The keys by which a Cluster reaches its object store, as its own Secrets have them."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

_CLUSTERS = ("postgresql.cnpg.io", "v1")
_STORES = ("barmancloud.cnpg.io", "v1")
_SECONDS = (5.0, 10.0)


def values_of_cluster(place: BackupLocation, section: str) -> Mapping[str, str]:
    """What the Secrets hold that ``section`` (``s3Credentials`` or ``azureCredentials``) names in the definition of the
    store, in-tree or the plugin's, by the keys of ``section``. The definition is that of any Cluster of the namespace
    which archives to ``place``.

    Raises AccessError ``store-credentials``, and those of the Kubernetes API.
    """
    if place.owner is None:
        raise _none(place, "whose Clusters archive there is not known")
    kubernetes, namespace = place.owner
    api = KubernetesApi(kubernetes, seconds=_SECONDS)
    found = next((one for one in _definitions(api, namespace) if _same_place(one, place)), None)
    if found is None:
        raise _none(place, f"no Cluster in {namespace} archives to {place.url}")
    references = {key: value for key, value in (found.get(section) or {}).items() if isinstance(value, Mapping)}
    if not references:
        raise _none(place, f"the Clusters in {namespace} reach it by a role of their pods, not by a Secret")
    return {key: _value(api, namespace, reference, place) for key, reference in references.items()}


def _definitions(api: KubernetesApi, namespace: str) -> Iterator[Mapping[str, Any]]:
    what = f"list the Clusters in {namespace}"
    listed = api.ask(what, api.custom.list_namespaced_custom_object, *_CLUSTERS, namespace, "clusters")
    for cluster in listed["items"]:
        spec = cluster.get("spec") or {}
        if in_tree := (spec.get("backup") or {}).get("barmanObjectStore"):
            yield in_tree
        for entry in spec.get("plugins") or ():
            if name := (entry.get("parameters") or {}).get("barmanObjectName"):
                what = f"read the ObjectStore {namespace}/{name}"
                call = api.custom.get_namespaced_custom_object
                if found := api.find(what, call, *_STORES, namespace, "objectstores", name):
                    yield found["spec"]["configuration"]


def _same_place(definition: Mapping[str, Any], place: BackupLocation) -> bool:
    return str(definition.get("destinationPath", "")).rstrip("/") == place.url


def _value(api: KubernetesApi, namespace: str, reference: Mapping[str, Any], place: BackupLocation) -> str:
    name, key = reference.get("name", ""), reference.get("key", "")
    what = f"read the Secret {namespace}/{name}"
    secret = api.find(what, api.core.read_namespaced_secret, name, namespace)
    value = ((secret.data if secret else None) or {}).get(key)
    if value is None:
        raise _none(place, f"there is no key {key} in a Secret {namespace}/{name}, which the Cluster names")
    return base64.b64decode(value).decode()


def _none(place: BackupLocation, why: str) -> AccessError:
    return AccessError(
        "store-credentials",
        f"there are no keys of a Cluster for the bucket {place.bucket}: {why}",
        "leave backup.credentials out, and log in on this machine as the store's own tools want it",
    )
