"""Values as the tests need them: everything in order, to be changed by ``dataclasses.replace`` or by a key."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dr.archive.contents import BaseBackup, Catalogue
from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import Archiving, ClusterSnapshot
from dr.cnpg.recovered import RecoveredCluster, derive_recovered_cluster
from dr.config.environment import Environment, parse_environment
from dr.core.history import Holder, LeaseSeen, OperationEntry
from dr.core.plan import Phase, Step
from dr.core.target import TimeTarget
from dr.finalize.dependants import Dependant
from dr.finalize.preconditions import FinalizeSituation
from dr.gitops.manifests import ManifestFile, Rewriting
from dr.kube.objects import Workload
from dr.recovery.plan import RecoveryDecision, decide_recovery
from dr.recovery.situation import RecoveryRequest, Situation
from dr.run.record import Record
from dr.switchover.plan import MoveDecision, MoveRequest, TrafficSituation, decide_move

NOW = datetime(2026, 4, 27, 12, 0, tzinfo=UTC)
TARGET_TIME = datetime(2026, 4, 27, 9, 55, tzinfo=UTC)
TARGET = TimeTarget(TARGET_TIME)
LIMIT = timedelta(minutes=20)
BUCKET = "backups-of-acme"
BACKUP_URL = f"gs://{BUCKET}/prod"
HEALTHY = "Cluster in healthy state"
SOURCE_HOST = "postgres-prod-rw.data.svc.cluster.local"
RECOVERED_HOST = "postgres-prod-recovered-rw.data.svc.cluster.local"


def config_document(**changes: Any) -> dict[str, Any]:
    """A parsed ``Pulumi.prod.yaml``. ``changes`` are top-level keys in snake case; None removes one."""
    keys: dict[str, Any] = {
        "gcpProject": "acme-project",
        "kubernetes": {"context": "acme-prod"},
        "backup": {"bucket": BUCKET, "path": "prod"},
        "namespace": "data",
        "sourceCluster": "postgres-prod",
        "recoveredCluster": "postgres-prod-recovered",
        "service": "prod-postgres",
        "workloads": {"namespace": "prod", "deployments": ["api", "worker"], "replicas": 2},
        "timeouts": {"recoveryMinutes": 20, "rebuildMinutes": 10},
        "verification": [{"name": "users", "sql": "SELECT count(*) FROM users", "atLeast": 1}],
        "smokeTestUrl": "https://api.acme.test/health",
    }
    keys = {key: value for key, value in {**keys, **changes}.items() if value is not None}
    return {"config": {f"postgres-dr:{key}": value for key, value in keys.items()}}


def an_environment(**changes: Any) -> Environment:
    """The environment ``prod`` of :func:`config_document`."""
    return parse_environment("prod", config_document(**changes), where="Pulumi.prod.yaml")


def cluster_object(name: str = "postgres-prod", **spec: Any) -> dict[str, Any]:
    """A Cluster as the Kubernetes API returns it, healthy and archiving. ``spec`` replaces keys; None removes one."""
    whole = {
        "instances": 1,
        "imageName": "registry.acme.test/postgis:17.6",
        "storage": {"size": "10Gi", "storageClass": "fast"},
        "postgresql": {"parameters": {"max_connections": "200"}},
        "bootstrap": {"initdb": {"database": "shop", "owner": "keeper", "secret": {"name": "shop-owner"}}},
        "backup": {
            "retentionPolicy": "30d",
            "barmanObjectStore": {
                "destinationPath": BACKUP_URL,
                "googleCredentials": {"gkeEnvironment": True},
                "wal": {"maxParallel": 4},
            },
        },
        **spec,
    }
    return {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {
            "name": name,
            "namespace": "data",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "resourceVersion": "7",
            "uid": "b1c2",
        },
        "spec": {key: value for key, value in whole.items() if value is not None},
        "status": {
            "phase": HEALTHY,
            "currentPrimary": f"{name}-1",
            "conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "ContinuousArchiving", "status": "True", "message": "Continuous archiving is working"},
            ],
        },
    }


def a_source(**spec: Any) -> ClusterSnapshot:
    """The source Cluster."""
    return ClusterSnapshot.from_object(cluster_object(**spec))


STORE_CONFIGURATION = {"destinationPath": BACKUP_URL, "googleCredentials": {"gkeEnvironment": True}}
"""The ``spec.configuration`` of the ObjectStore ``prod-store``."""


def by_plugin(**parameters: str) -> dict[str, Any]:
    """The spec's keys of a Cluster that archives by the Barman Cloud plugin, for :func:`cluster_object`."""
    entry = {
        "name": "barman-cloud.cloudnative-pg.io",
        "enabled": True,
        "isWALArchiver": True,
        "parameters": {"barmanObjectName": "prod-store", **parameters},
    }
    return {"backup": None, "plugins": [entry]}


def a_plugin_source(**parameters: str) -> ClusterSnapshot:
    """The source Cluster, archiving by the plugin, with its ObjectStore."""
    return a_source(**by_plugin(**parameters)).with_object_store(STORE_CONFIGURATION)


def a_backup(end: datetime = NOW - timedelta(hours=9), backup_id: str = "20260427T030000") -> BaseBackup:
    """A base backup that took a minute; by default it ended at 03:00."""
    return BaseBackup(
        backup_id=backup_id,
        begin=end - timedelta(minutes=1),
        end=end,
        timeline=1,
        begin_wal="000000010000000000000003",
        end_wal="000000010000000000000003",
        begin_lsn=0x3000028,
        end_lsn=0x3000138,
        size=64 * 2**20,
        segment_size=16 * 2**20,
    )


def a_snapshot(name: str = "nightly", *, end: datetime = NOW - timedelta(hours=5), **changes: Any) -> SnapshotBackup:
    """A backup by a volume snapshot that took a minute, and begins with segment 3."""
    good = SnapshotBackup(
        name=name,
        storage=name,
        wal_storage=None,
        tablespaces={},
        begin=end - timedelta(minutes=1),
        end=end,
        begin_wal="000000010000000000000003",
        begin_lsn=0x3000028,
        end_lsn=0x3000138,
        major=None,
    )
    return replace(good, **changes)


def a_workload(name: str, replicas: int = 3, *, secrets: tuple[str, ...] = ()) -> Workload:
    """A Deployment that runs."""
    return Workload(name=name, replicas=replicas, selector=f"app={name}", argo_managed=False, secrets=secrets)


def a_situation(**changes: Any) -> Situation:
    """Everything in order for :func:`a_request`."""
    good = Situation(
        seen_at=NOW,
        source=a_source(
            serviceAccountName="postgres",  # which was let in to the bucket once
            certificates={"serverCASecret": "ca", "serverTLSSecret": "tls", "clientCASecret": "clients"},
        ),
        recovered=None,
        recovered_gave_up=False,
        other_clusters=("postgres-prod",),
        external_name="postgres-prod-rw.data.svc.cluster.local",
        workloads={name: a_workload(name) for name in ("api", "worker")},
        app_secret_exists=True,
        missing_storage_classes=(),
        volume_refusal="",
        database_time=NOW,
        primary_down=changes.get("database_time", NOW) is None,
        catalogue=Catalogue(
            server_name="postgres-prod", backups=(a_backup(),), server_names=frozenset({"postgres-prod"})
        ),
        record=None,
    )
    return replace(good, **changes)


def a_request(**changes: Any) -> RecoveryRequest:
    """Recover to :data:`TARGET` under the configured name."""
    return replace(
        RecoveryRequest(target=TARGET, source="postgres-prod", recovered_name="postgres-prod-recovered"), **changes
    )


def a_decision(situation: Situation | None = None, **request: Any) -> RecoveryDecision:
    """What is decided for :func:`a_request` in ``situation``."""
    return decide_recovery(an_environment(), a_request(**request), situation or a_situation())


def a_recovered(name: str = "postgres-prod-recovered", server_name: str | None = None) -> RecoveredCluster:
    """The declaration of a recovered Cluster."""
    source = a_source()
    assert source.store is not None
    return derive_recovered_cluster(
        source, source.store, name=name, server_name=server_name or name, target=TARGET, limit=LIMIT
    )


def object_of(cluster: RecoveredCluster, *, healthy: bool = True) -> dict[str, Any]:
    """``cluster`` as the Kubernetes API returns it after Pulumi created it."""
    raw = cluster_object(cluster.name)
    raw["spec"] = deepcopy(dict(cluster.manifest["spec"]))
    raw["metadata"]["annotations"] = dict(cluster.manifest["metadata"]["annotations"])
    if not healthy:
        raw["status"] = {"phase": "Setting up primary", "conditions": [{"type": "Ready", "status": "False"}]}
    return raw


def as_seen(cluster: RecoveredCluster, *, healthy: bool = True) -> ClusterSnapshot:
    """The snapshot of :func:`object_of`."""
    return ClusterSnapshot.from_object(object_of(cluster, healthy=healthy))


def a_record(*clusters: RecoveredCluster, replicas: dict[str, int] | None = None) -> Record:
    """A record that holds ``clusters``."""
    record = Record(updated=NOW, updated_by="someone@somewhere", replicas=replicas or {})
    for cluster in clusters:
        record = record.with_recovery(cluster)
    return record


class StepDouble(Step):
    """A step that does what it is given; :func:`a_step` makes one."""

    key, title, phase, done_when = "", "", Phase.OTHER, ""

    def __init__(self, key: str, undo: tuple[str, ...], do: Callable[[], str], phase: Phase) -> None:
        self.key, self.title, self.phase = key, key.capitalize(), phase
        self._undo, self._do = undo, do

    def detail(self) -> str:
        return f"the detail of {self.key}"

    def undo(self) -> tuple[str, ...]:
        return self._undo

    def run(self) -> str:
        return self._do()


def a_step(key: str, *undo: str, do: Callable[[], str] = lambda: "", phase: Phase = Phase.OTHER) -> Step:
    """A step of a plan, which does ``do``."""
    return StepDouble(key, undo, do, phase)


def a_holder(pid: int = 7, host: str = "ops-1") -> Holder:
    """A process of ann's."""
    return Holder(user="ann", host=host, pid=pid)


def a_lease(holder: str = "bob@ops-2:8", renewed: datetime | None = NOW) -> LeaseSeen:
    """A lease for 15 s that was renewed just now."""
    return LeaseSeen(holder=holder, acquired=NOW, renewed=renewed, duration=timedelta(seconds=15), version="41")


def lease_object(holder: str, renewed: datetime = NOW, *, seconds: int = 15) -> dict[str, Any]:
    """The environment's Lease as the Kubernetes API returns it."""
    return {
        "metadata": {"name": "postgres-dr-prod", "namespace": "data"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "renewTime": renewed.isoformat(timespec="microseconds"),
        },
    }


def an_entry(operation: str = "switchover", **changes: Any) -> OperationEntry:
    """An operation that began at :data:`NOW`."""
    given = {
        "id": f"20260427T120000Z-{operation}",
        "operation": operation,
        "user": "ann@ops-1",
        "go_on": f"python -m dr {operation} --env prod",
        "started": NOW,
        **changes,
    }
    return OperationEntry.model_validate(given)


def a_traffic_situation(**changes: Any) -> TrafficSituation:
    """Traffic at the source, and a recovered Cluster that was verified."""
    good = TrafficSituation(
        seen_at=NOW,
        external_name=SOURCE_HOST,
        old_cluster=a_source(),
        new_cluster=as_seen(a_recovered()),
        workloads={name: a_workload(name) for name in ("api", "worker")},
        record=a_record(a_recovered()).with_verified("postgres-prod-recovered", 700),
        commits_left_behind=None,
    )
    return replace(good, **changes)


def a_move(
    situation: TrafficSituation | None = None, *, environment: Environment | None = None, **request: Any
) -> MoveDecision:
    """What is decided for a switchover to the configured name, in ``situation``."""
    asked = replace(MoveRequest(to="" if request.get("back") else "postgres-prod-recovered"), **request)
    return decide_move(environment or an_environment(), asked, situation or a_traffic_situation())


def a_rewriting(*changed: str, documents: tuple[dict[str, Any], ...] = ()) -> Rewriting:
    """What rewriting Git's manifests gave: these files changed."""
    return Rewriting(
        files=tuple(ManifestFile(path=path, text="new\n") for path in changed),
        changes=tuple(f"{path}: Cluster postgres-prod becomes postgres-prod-recovered" for path in changed),
        documents=documents,
        mentions=(),
    )


def a_scheduled_backup(name: str = "postgres-prod", cluster: str = "postgres-prod") -> Dependant:
    """A ScheduledBackup of ``cluster``."""
    raw = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "metadata": {"name": name, "namespace": "data", "uid": f"uid-of-{name}"},
        "spec": {"schedule": "0 0 3 * * *", "cluster": {"name": cluster}},
    }
    return Dependant.from_object("ScheduledBackup", raw)


PLURALS = {
    "ScheduledBackup": "scheduledbackups",
    "Pooler": "poolers",
    "Database": "databases",
    "DatabaseRole": "databaseroles",
    "Publication": "publications",
    "Subscription": "subscriptions",
}
"""The kinds of CloudNativePG 1.30 whose objects belong to a Cluster."""


def a_finalize_situation(**changes: Any) -> FinalizeSituation:
    """A recovered Cluster that serves and is proven, and the fenced one that it takes the place of."""
    record = a_record(a_recovered()).with_verified("postgres-prod-recovered", 700)
    good = FinalizeSituation(
        external_name=RECOVERED_HOST,
        serving=replace(as_seen(a_recovered()), archiving=Archiving(working=True)),
        former=(a_source(),),
        writable={},
        dependants=(a_scheduled_backup(),),
        plurals=PLURALS,
        secret_users=(),
        own_backup="20260427T110000",
        workloads={name: a_workload(name) for name in ("api", "worker")},
        record=record.leaving(SOURCE_HOST, towards=RECOVERED_HOST).pointing_to(RECOVERED_HOST),
    )
    return replace(good, **changes)


def config_map_of(record: Record) -> dict[str, Any]:
    """The ConfigMap that holds ``record``, as the Kubernetes API returns it."""
    return {
        "metadata": {"name": "postgres-dr-prod", "namespace": "data", "resourceVersion": "41"},
        "data": {"record.json": record.model_dump_json()},
    }
