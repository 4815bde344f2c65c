"""Whether the recovered Cluster's volumes would be allowed, asked of the API server itself.

CloudNativePG writes a refusal (a quota, a LimitRange, an admission webhook) into the operator's log only: the Cluster's
status stays empty, and no event tells. A claim that is created as a dry run meets the same admission, and leaves
nothing behind.
"""

from collections.abc import Mapping
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

_REFUSALS = {403, 422}
_NOT_ALLOWED_TO_ASK = "cannot create resource"


def storage_class_exists(api: KubernetesApi, name: str) -> bool:
    """Whether the storage class is there."""
    return api.find(f"read the StorageClass {name}", api.storage.read_storage_class, name) is not None


def volume_refusal(api: KubernetesApi, cluster: ClusterSnapshot) -> str:
    """Why a volume such as those of ``cluster`` would be refused, in the API server's words; empty when it would not.

    Also empty when this user may not create claims: CloudNativePG's operator creates them, not the user.
    """
    for volume in cluster.volumes:
        try:
            api.ask(
                f"have a volume such as those of {cluster.namespace}/{cluster.name}",
                api.core.create_namespaced_persistent_volume_claim,
                cluster.namespace,
                _claim(cluster.name, volume),
                dry_run="All",
            )
        except AccessError as error:
            if getattr(error.__cause__, "status", None) in _REFUSALS and _NOT_ALLOWED_TO_ASK not in error.cause:
                return error.cause
    return ""


def _claim(name: str, volume: Mapping[str, Any]) -> Mapping[str, Any]:
    """The claim that CloudNativePG makes of a ``storage`` section (``pkg/reconciler/persistentvolumeclaim``)."""
    spec = {"accessModes": ["ReadWriteOnce"], **(volume.get("pvcTemplate") or {})}
    if size := volume.get("size"):
        spec["resources"] = {"requests": {"storage": size}}
    if storage_class := volume.get("storageClass"):
        spec["storageClassName"] = storage_class
    return {"metadata": {"generateName": f"{name}-"}, "spec": spec}
