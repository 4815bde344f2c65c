"""The scratch Cluster: a source recovered to a moment only to be read from, and then deleted.

It is made and deleted through the Kubernetes API, not by Pulumi: it lives for minutes, nothing may ever depend on it,
and what a stack declares is what must stay. For the same reason it is not a recovery in the environment's record:
neither ``switchover`` nor ``pulumi up`` takes it for one. It is found again by its label.

It is derived as any recovered Cluster is, and then loses what would make it act on the world around it: it archives
nothing, is scraped by nobody, has no Service but CloudNativePG's own, and runs neither scheduled jobs nor
subscriptions that were in the data.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, ObjectStore
from dr.cnpg.quiet import BY_LIBRARY, NO_SUBSCRIPTIONS
from dr.cnpg.recovered import SOURCE_ANNOTATION, derive_recovered_cluster, label_warning
from dr.config.names import EXTRACTION, Purpose
from dr.core.target import RecoveryTarget, TimeTarget

SCRATCH_LABEL = "postgres-dr/scratch"
ENVIRONMENT_LABEL = "postgres-dr/environment"
_LOADED = "postgres-dr/loaded"


_NOT_FOR_SCRATCH = {
    "backup": "it archives nothing",
    "plugins": "it archives nothing; what it is restored from, its external cluster says",
    "monitoring": "nobody scrapes it",
    "managed": "roles are database content, and Services have names of their own",
    "superuserSecret": "CloudNativePG makes one of its own, which is deleted with it",
    "minSyncReplicas": "it has one instance",
    "maxSyncReplicas": "it has one instance",
    "replicationSlots": "it has one instance",
    "priorityClassName": "nothing else is to give way to it",
}
_ONLY_WE = ("hostssl all postgres all scram-sha-256",)
_WORKERS_ALONE = {"pg_partman_bgw", "pglogical", "pg_net", "pg_squeeze", "pg_failover_slots"}
"""Libraries that start workers, and that no row needs to be read: they are not loaded. The tables of timescaledb cannot
be read without it."""
_PASSIVE = {
    *("auth_delay", "auto_explain", "passwordcheck", "pg_prewarm", "pg_stat_statements", "sepgsql"),
    *("credcheck", "hypopg", "pg_hint_plan", "pg_qualstats", "pg_stat_kcache", "pg_stat_monitor", "pg_tde"),
    *("pg_wait_sampling", "pgaudit", "pgauditlogtofile", "plpgsql", "plpgsql_check", "set_user", "supautils"),
    *("decoderbufs", "pgcrypto", "pgsodium", "vector", "wal2json", "postgis-3", "safeupdate", "anon"),
}
"""Libraries that only watch, forbid, or read."""


def superuser_secret(scratch: str) -> str:
    """The Secret that CloudNativePG makes for the superuser of a Cluster, and deletes with it."""
    return f"{scratch}-superuser"


def is_scratch_for(cluster: ClusterSnapshot, source: str, target: TimeTarget) -> bool:
    """Whether a scratch Cluster is of this source and this target, so that it can be used again."""
    marks = cluster.annotations
    return marks.get(SOURCE_ANNOTATION) == source and marks.get(TARGET_ANNOTATION) == target.value


def loaded_annotation(staging: str) -> str:
    """The annotation of a scratch Cluster with the oid that a table got in the live database; it keeps it for good,
    whatever its schema and name, so a later run knows the table again.
    """
    return f"{_LOADED}-{staging}"


def loaded_by(cluster: ClusterSnapshot | None, staging: str) -> int | None:
    """The oid that an earlier run has noted, if any."""
    noted = cluster.annotations.get(loaded_annotation(staging), "") if cluster else ""
    return int(noted) if noted.isdigit() else None


def derive_scratch_cluster(
    source: ClusterSnapshot,
    store: ObjectStore,
    *,
    name: str,
    target: RecoveryTarget | None,
    base: str = "",
    snapshot: SnapshotBackup | None = None,
    purpose: Purpose = EXTRACTION,
    environment: str = "",
) -> Mapping[str, Any]:
    """The manifest of the scratch Cluster ``name`` with ``source`` as it was at ``target``, or at the end of its WAL,
    from the base backup ``base``, or from ``snapshot``. ``environment`` is labelled, where one looks for its own.
    """
    whole = derive_recovered_cluster(
        source, store, name=name, server_name=name, target=target, limit=timedelta(), base=base, snapshot=snapshot
    )
    manifest = deepcopy(dict(whole.manifest))
    manifest["metadata"]["labels"][SCRATCH_LABEL] = purpose.mark
    if environment:
        manifest["metadata"]["labels"][ENVIRONMENT_LABEL] = environment
    spec: dict[str, Any] = {key: value for key, value in manifest["spec"].items() if key not in _NOT_FOR_SCRATCH}
    # Without a Secret CloudNativePG makes one for the owner, which is deleted with the Cluster.
    del spec["bootstrap"]["recovery"]["secret"]
    postgresql = {key: value for key, value in spec.get("postgresql", {}).items() if key not in {"synchronous", "ldap"}}
    libraries = postgresql.get("shared_preload_libraries") or ()
    quiet = dict(NO_SUBSCRIPTIONS)
    for library in libraries:
        quiet |= BY_LIBRARY.get(library, {})
    if libraries:
        postgresql["shared_preload_libraries"] = [one for one in libraries if one not in _WORKERS_ALONE]
    postgresql |= {"parameters": {**(postgresql.get("parameters") or {}), **quiet}, "pg_hba": list(_ONLY_WE)}
    manifest["spec"] = spec | {
        # It connects to nobody: only where it comes from is left.
        "externalClusters": spec["externalClusters"][:1],
        "description": f"{source.name} as it was at {target or 'the end of its WAL'}, {purpose.why}; not for use",
        "instances": 1,
        "enablePDB": False,
        "enableSuperuserAccess": True,
        "postgresql": postgresql,
    }
    return manifest


def warnings_of_scratch(source: ClusterSnapshot) -> Iterator[str]:
    """What a scratch Cluster of ``source`` may do to the world around it that could not be taken from it."""
    libraries = (source.spec.get("postgresql") or {}).get("shared_preload_libraries") or ()
    known = {*BY_LIBRARY, *_WORKERS_ALONE, *_PASSIVE}
    if unknown := ", ".join(library for library in libraries if library not in known):
        yield (
            f"The scratch Cluster loads {unknown}, as its source does: whether workers of it act on the data there, or "
            "on other servers, is not known."
        )
    yield from label_warning(source.spec)
