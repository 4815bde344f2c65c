"""WAL fetched ahead while a Cluster recovers: what its specification holds for that, and how it is taken back. Pure.

PostgreSQL asks for one segment after the other, and CloudNativePG's in-tree recovery answers each with a process of its
own, ``barman-cloud-wal-restore``: half a second a segment, nearly all of it the loading of Python's Google client.
barman could fetch the next segments along with it, but CloudNativePG 1.30 hands no such option on while it bootstraps
(its ``wal.maxParallel`` is ignored there, cloudnative-pg#11105). So a small program is put in front of barman
(:mod:`dr.clients.segment_handover`), by what a Cluster's specification allows: a file in ``projectedVolumeTemplate``,
and an environment variable by which Python finds it.

It is for the recovery's own pod only. As soon as that runs, the specification becomes the source's again, so that the
instance never starts with it, and nothing has to be restarted before traffic.
"""

import shlex
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from dr.model.archive.catalogue import BaseBackup
from dr.model.archive.contents import Archive
from dr.model.archive.databases import part_of
from dr.model.archive.wal_names import number_of
from dr.model.cluster import ClusterSnapshot
from dr.model.recovery.recovered import RecoveredCluster

WORTH_SEGMENTS = 24
"""From how many segments on it pays: Pulumi has to declare the Cluster once more, which takes 4 s."""
PROGRAM = "sitecustomize.py"
"""The name by which Python imports it by itself (Python docs, module ``site``)."""
_FOLDER = "postgres-dr"
_VARIABLES = {
    "PYTHONPATH": f"/projected/{_FOLDER}",
    # Of the pod's own scratch volume, which goes with the pod.
    "POSTGRES_DR_FETCHED_AHEAD": "/controller/fetched-ahead",
}


def config_map_name(cluster: str) -> str:
    """The ConfigMap that holds the program for one Cluster."""
    return f"{cluster}-fetch-ahead"


def segments_to_replay(archive: Archive, base: BaseBackup) -> int:
    """How many archived segments lie behind the beginning of ``base``, on the way that PostgreSQL would take."""
    part = part_of(archive, base)
    first = number_of(base.begin_wal, part.segment_size)
    path = part.path(part.newest_timeline(base.timeline))
    return sum(max(0, stretch.last - max(stretch.first, first) + 1) for stretch in path.stretches)


def can_fetch_ahead(cluster: RecoveredCluster) -> bool:
    """Whether nothing in the specification stands against it.

    The plugin fetches WAL in a container of its own, which these settings do not reach. A limit of the pod's scratch
    volume might be too small for what is fetched ahead.
    """
    spec = cluster.manifest["spec"]
    taken = {variable.get("name") for variable in spec.get("env") or ()} & set(_VARIABLES)
    limited = (spec.get("ephemeralVolumesSizeLimit") or {}).get("temporaryData")
    return not spec.get("plugins") and not taken and not limited


def one_by_one(source: ClusterSnapshot, segments: int, *, context: str) -> Iterator[str]:
    """The warning that the plugin will fetch ``segments`` one after the other, and how to have it fetch more at once.

    Its ``wal.maxParallel`` counts in a recovery too (plugin-barman-cloud, ``internal/cnpgi/common/wal.go``).
    ``context`` is the kubeconfig's.
    """
    if source.plugin is None or source.store is None:
        return
    at_a_time = (source.store.definition.get("wal") or {}).get("maxParallel") or 1
    if at_a_time == 1 and segments >= WORTH_SEGMENTS:
        patch = '{"spec":{"configuration":{"wal":{"maxParallel":8}}}}'
        yield (
            f"The plugin will fetch {segments} WAL segments one after the other. It fetches eight at a time after "
            f"kubectl --context {shlex.quote(context)} patch objectstore {source.plugin.object_store} "
            f"-n {source.namespace} --type=merge -p '{patch}' (where Argo CD manages that, in Git)."
        )


def fetching_ahead(cluster: RecoveredCluster) -> RecoveredCluster:
    """``cluster`` as it is created: with the program in reach of its recovery's pod.

    The ConfigMap is optional there: without it barman works as ever.
    """
    manifest = deepcopy(dict(cluster.manifest))
    spec = manifest["spec"]
    spec["env"] = [*(spec.get("env") or ()), *({"name": name, "value": value} for name, value in _VARIABLES.items())]
    projected = spec.get("projectedVolumeTemplate") or {}
    source = {
        "configMap": {
            "name": config_map_name(cluster.name),
            "items": [{"key": PROGRAM, "path": f"{_FOLDER}/{PROGRAM}"}],
            "optional": True,
        }
    }
    spec["projectedVolumeTemplate"] = {**projected, "sources": [*(projected.get("sources") or ()), source]}
    return RecoveredCluster(manifest=manifest, limit=cluster.limit)


def as_declared(cluster: RecoveredCluster) -> Mapping[str, Any]:
    """The merge patch (RFC 7396) that makes what :func:`fetching_ahead` added be as in ``cluster`` again."""
    spec = cluster.manifest["spec"]
    return {"spec": {key: spec.get(key) for key in ("env", "projectedVolumeTemplate")}}
