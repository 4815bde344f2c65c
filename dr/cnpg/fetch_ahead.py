"""How WAL is fetched while a Cluster recovers: ahead, and with patience for a store that fails. Pure.

PostgreSQL asks for one segment after the other, and CloudNativePG's in-tree recovery answers each with a process of its
own, ``barman-cloud-wal-restore``: half a second a segment, nearly all of it the loading of Python's Google client.
barman could fetch the next segments along with it, but CloudNativePG 1.30 hands no such option on while it bootstraps
(its ``wal.maxParallel`` is ignored there, cloudnative-pg#11105). And where barman fails, for whatever reason,
PostgreSQL takes that for the end of the archive: without a target, the recovery ends there as if all was well. So a
small program is put in front of barman (:mod:`dr.cnpg.in_pod.sitecustomize`), by what a Cluster's specification
allows: a file in ``projectedVolumeTemplate``, and environment variables, by one of which Python finds it.

It is for the recovery's own pods only. As soon as the first of them runs, the specification becomes the source's again,
so that the instance never starts with it, and nothing has to be restarted before traffic.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from dr.archive.contents import Archive, BaseBackup
from dr.archive.databases import part_of
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.recovered import RecoveredCluster
from dr.core.commands import CommandLines
from dr.core.wal_names import number_of
from dr.kube.scratch_room import scratch_room

WORTH_SEGMENTS = 24
"""From how many segments on it pays to fetch ahead: Pulumi has to declare the Cluster once more, which takes 4 s."""
WAIT_SECONDS = 300
"""How long a store that fails is waited for, before PostgreSQL is stopped and CloudNativePG's Job tries again."""
PROGRAM = "sitecustomize.py"
"""The name by which Python imports it at startup (Python docs, module ``site``)."""
_SEGMENTS, _BYTES = 16, 256 * 2**20
"""How much is fetched at a time, at most: 16 segments of the usual size."""
_FOLDER = "postgres-dr"
_IN_FRONT = {"PYTHONPATH": f"/projected/{_FOLDER}", "POSTGRES_DR_WAIT_SECONDS": str(WAIT_SECONDS)}
# Of the pod's own scratch volume, which goes with the pod.
_AHEAD = {"POSTGRES_DR_FETCHED_AHEAD": "/controller/fetched-ahead"}
_AT_A_TIME = "POSTGRES_DR_SEGMENTS_AHEAD"


@dataclass(frozen=True)
class Fetching:
    """That the program is in front of barman. ``at_a_time`` is how many segments one process of barman fetches."""

    at_a_time: int = 1

    @property
    def ahead(self) -> bool:
        """Whether segments are fetched before they are asked for."""
        return self.at_a_time > 1

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of the recovery's pod that has it so."""
        return {**_IN_FRONT, **({**_AHEAD, _AT_A_TIME: str(self.at_a_time)} if self.ahead else {})}


def config_map_name(cluster: str) -> str:
    """The ConfigMap that holds the program for one Cluster."""
    return f"{cluster}-fetch-ahead"


def segments_to_replay(archive: Archive, base: BaseBackup) -> int:
    """How many archived segments lie behind the beginning of ``base``, on the way that PostgreSQL would take."""
    part = part_of(archive, base)
    first = number_of(base.begin_wal, part.segment_size)
    path = part.path(part.newest_timeline(base.timeline))
    return sum(max(0, stretch.last - max(stretch.first, first) + 1) for stretch in path.stretches)


def fetching_for(
    manifest: Mapping[str, Any], archive: Archive | None, base: BaseBackup, *, to_the_end: bool
) -> Fetching | None:
    """How the Cluster ``manifest`` fetches its WAL; None where barman is left alone.

    The program is there where it pays, and in every recovery ``to_the_end`` of the WAL: PostgreSQL holds any other
    against its target.
    """
    spec = manifest["spec"]
    if hindrance(spec):
        return None
    pays = archive is not None and segments_to_replay(archive, base) >= WORTH_SEGMENTS
    fetching = Fetching(_at_a_time(spec, archive.segment_size) if archive and pays else 1)
    return fetching if fetching.ahead or to_the_end else None


def _at_a_time(spec: Mapping[str, Any], segment_size: int) -> int:
    room = scratch_room(spec)
    return max(1, min(_SEGMENTS, min(_BYTES, _BYTES if room is None else room) // segment_size))


def hindrance(spec: Mapping[str, Any]) -> str:
    """What in a recovered Cluster's ``spec`` keeps the program out, as a clause; empty where nothing does."""
    # The first is the one that it is recovered from.
    if any("plugin" in origin for origin in (spec.get("externalClusters") or ())[:1]):
        return "the Barman Cloud plugin fetches WAL in a container of its own"
    taken = {variable.get("name") for variable in spec.get("env") or ()} & {*Fetching(2).variables}
    return f"the source sets {', '.join(sorted(taken))} in spec.env" if taken else ""


def not_waited_for(manifest: Mapping[str, Any], *, to_the_end: bool) -> Iterator[str]:
    """The warning that a store that fails is taken for the end of the WAL, where PostgreSQL would not notice.

    From a volume snapshot CloudNativePG recovers by ``manager wal-restore``, which ends with 1 whatever barman has
    ended with (pkg/management/postgres/restore.go, internal/cmd/manager/walrestore): barman is waited for, but
    PostgreSQL is not stopped after that.
    """
    spec = manifest["spec"]
    by_snapshot = "volumeSnapshots" in spec["bootstrap"]["recovery"]
    why = hindrance(spec) or ("a recovery from a volume snapshot hides barman's exit code" if by_snapshot else "")
    if to_the_end and why:
        yield (
            f"An object store that fails for minutes while WAL is replayed is taken for the end of the WAL, as {why}. "
            "With a target PostgreSQL would stop with an error instead."
        )


def one_by_one(source: ClusterSnapshot, segments: int, *, commands: CommandLines) -> Iterator[str]:
    """The warning that the plugin will fetch ``segments`` one after the other, and how to have it fetch more at once.

    Its ``wal.maxParallel`` counts in a recovery too (plugin-barman-cloud, ``internal/cnpgi/common/wal.go``).
    ``commands`` are the environment's.
    """
    if source.plugin is None or source.store is None:
        return
    at_a_time = (source.store.definition.get("wal") or {}).get("maxParallel") or 1
    if at_a_time == 1 and segments >= WORTH_SEGMENTS:
        more = '{"spec":{"configuration":{"wal":{"maxParallel":8}}}}'
        words = ("patch", "objectstore", source.plugin.object_store, "--type=merge", "-p", more)
        yield (
            f"The plugin will fetch {segments} WAL segments one after the other. It fetches eight at a time after "
            f"{commands.kubectl(*words, namespace=source.namespace)} (where Argo CD manages that, in Git)."
        )


def with_program(cluster: RecoveredCluster, fetching: Fetching) -> RecoveredCluster:
    """``cluster`` as it is created: with the program in reach of its recovery's pod.

    The ConfigMap is optional there: without it barman works as ever.
    """
    manifest = deepcopy(dict(cluster.manifest))
    spec = manifest["spec"]
    added = ({"name": name, "value": value} for name, value in fetching.variables.items())
    spec["env"] = [*(spec.get("env") or ()), *added]
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
    """The merge patch (RFC 7396) that makes what :func:`with_program` added be as in ``cluster`` again."""
    spec = cluster.manifest["spec"]
    return {"spec": {key: spec.get(key) for key in ("env", "projectedVolumeTemplate")}}
