"""A Cluster's specification, kept where its backups are, for the day when the Cluster itself is gone.

A backup has the data and not how the database ran: image, parameters, storage, where to run. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import RequestError
from dr.core.text import moment_of

_FORMAT = "postgres-dr/cluster-copy/1"


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """A Cluster that is not there, as it was by ``origin``: its copy next to the backups, or a file."""

    cluster: ClusterSnapshot
    origin: str


def copy_of(cluster: ClusterSnapshot, at: datetime) -> dict[str, Any]:
    """What is kept of ``cluster``, which runs."""
    image = {"imageName": cluster.image} if cluster.image and "imageCatalogRef" not in cluster.spec else {}
    return {
        "format": _FORMAT,
        "at": at.isoformat(),
        "major": cluster.major,
        "cluster": {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Cluster",
            "metadata": {"name": cluster.name, "namespace": cluster.namespace},
            "spec": {**cluster.spec, **image},
        },
    }


def from_copy(copy: Mapping[str, Any]) -> StandIn | None:
    """The Cluster of a copy; None where this is none that is understood here."""
    if copy.get("format") != _FORMAT:
        return None
    at = datetime.fromisoformat(copy["at"])
    raw = copy["cluster"]
    cluster = _snapshot(raw, raw["metadata"]["namespace"], created=copy["at"], major=copy.get("major"))
    return StandIn(cluster=cluster, origin=f"its copy of {moment_of(at)} next to the backups")


def from_manifest(document: object, *, name: str, namespace: str, where: str) -> StandIn:
    """The Cluster ``name`` of a manifest, such as Git has it. ``where`` names the file.

    Raises RequestError ``source-manifest-wrong``: another kind or name, or no image, without which the operator's
    default would decide which PostgreSQL has to read the old files.
    """
    raw = document if isinstance(document, Mapping) else {}
    spec, metadata = raw.get("spec") or {}, raw.get("metadata") or {}
    if raw.get("kind") != "Cluster" or not spec:
        raise _wrong(f"{where} is not the manifest of a CloudNativePG Cluster")
    if metadata.get("name") != name:
        raise _wrong(f"{where} is the manifest of {metadata.get('name')}, not of {name}")
    if not (spec.get("imageName") or spec.get("imageCatalogRef")):
        raise _wrong(f"{where} names no image, so it is not known which PostgreSQL wrote the backups")
    return StandIn(cluster=_snapshot(raw, namespace, created="1970-01-01T00:00:00+00:00", major=None), origin=where)


def _wrong(cause: str) -> RequestError:
    return RequestError(
        "source-manifest-wrong", cause, "give the manifest that the source Cluster was made from, with its imageName"
    )


def _snapshot(raw: Mapping[str, Any], namespace: str, *, created: str, major: int | None) -> ClusterSnapshot:
    metadata = {"name": raw["metadata"]["name"], "namespace": namespace, "uid": "", "creationTimestamp": created}
    status = {"pgDataImageInfo": {"majorVersion": major}} if major else {}
    return ClusterSnapshot.from_object({"metadata": metadata, "spec": raw["spec"], "status": status})
