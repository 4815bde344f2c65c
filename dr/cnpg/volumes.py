"""Whether a Cluster's volumes would be allowed, asked of the API server itself, and the snapshots of those that exist.

CloudNativePG writes a refusal (a quota, a LimitRange, an admission webhook) into the operator's log only: the Cluster's
status stays empty, and no event tells. A claim that is created as a dry run meets the same admission, and leaves
nothing behind.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dr.archive.snapshots import SNAPSHOT_GROUP, SnapshotBackup, snapshot_backups
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import list_objects
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


_VERSION = "v1"


def list_snapshot_backups(api: KubernetesApi, source: ClusterSnapshot) -> tuple[SnapshotBackup, ...] | None:
    """The backups of ``source`` that are volume snapshots, oldest first; None where the cluster does not know
    VolumeSnapshots, or this user may not see them. Raises AccessError.
    """
    try:
        found = api.ask(
            f"list the VolumeSnapshots of {source.namespace}/{source.name}",
            api.custom.list_namespaced_custom_object,
            SNAPSHOT_GROUP,
            _VERSION,
            source.namespace,
            "volumesnapshots",
            label_selector=f"cnpg.io/cluster={source.name}",
        )["items"]
    except AccessError as error:
        if error.code in {"api-group-missing", "forbidden"}:
            return None
        raise
    if not found:
        return ()
    classes = {name for one in found if (name := one["spec"].get("volumeSnapshotClassName"))}
    return snapshot_backups(
        found,
        list_objects(api, source.namespace, "backups"),
        cluster=source.name,
        needs_wal_storage=bool(source.spec.get("walStorage")),
        tablespaces=[tablespace["name"] for tablespace in source.spec.get("tablespaces") or ()],
        drivers=_missing_drivers(api, classes),
    )


def _missing_drivers(api: KubernetesApi, classes: Iterable[str]) -> Mapping[str, str]:
    """The drivers of snapshot classes that are not in the cluster; who may not look takes all to be there."""
    missing: dict[str, str] = {}
    for name in classes:
        try:
            driver = _driver(api, name)
            if driver and api.find(f"read the CSIDriver {driver}", api.storage.read_csi_driver, driver) is None:
                missing[name] = driver
        except AccessError as error:
            if error.code != "forbidden":
                raise
    return missing


def _driver(api: KubernetesApi, snapshot_class: str) -> str | None:
    what = f"read the VolumeSnapshotClass {snapshot_class}"
    where = (SNAPSHOT_GROUP, _VERSION, "volumesnapshotclasses", snapshot_class)
    found: Mapping[str, Any] | None = api.find(what, api.custom.get_cluster_custom_object, *where)
    return str(found["driver"]) if found else None
