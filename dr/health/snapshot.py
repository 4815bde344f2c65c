"""Everything a health check decides on, seen once, as one frozen value.

Each part is looked at alone, at the same time as the others; one that could not be looked at is
:class:`Unavailable`, and the others are judged all the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dr.archive.bucket import BucketFacts
from dr.archive.contents import Archive
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.core.commands import CommandLines
from dr.gitops.argocd import Manager
from dr.health.check import Unavailable
from dr.reports.rto import Coefficients
from dr.run.record import Record

_IN_TREE = "barmanObjectStore"
"""The method of backups that a Cluster's status reports; the plugin's it does not (``cluster_types.go``)."""


@dataclass(frozen=True, kw_only=True)
class ServingCluster:
    """The Cluster that the traffic goes to, else the configured source.

    ``external_name`` is where the Service points, None without one; ``claimed_backup`` the last base backup into the
    bucket that its status says succeeded; ``certificates`` when each of its certificates ends; ``pods`` are its
    instances' names; ``retention_policy`` is for how long CloudNativePG keeps backups, such as ``30d``, empty when for
    ever.
    """

    cluster: ClusterSnapshot
    external_name: str | None
    serves: bool
    instances: int
    ready_instances: int
    pods: tuple[str, ...]
    claimed_backup: datetime | None
    certificates: Mapping[str, datetime]
    retention_policy: str

    @classmethod
    def from_object(
        cls, raw: Mapping[str, Any], cluster: ClusterSnapshot, *, external_name: str | None, retention_policy: str
    ) -> "ServingCluster":
        """Read the Cluster as the Kubernetes API returns it; ``cluster`` is its snapshot."""
        status = raw.get("status") or {}
        ends = (status.get("certificates") or {}).get("expirations") or {}
        by_method = status.get("lastSuccessfulBackupByMethod")
        claimed = by_method.get(_IN_TREE) if by_method else status.get("lastSuccessfulBackup")
        return cls(
            cluster=cluster,
            external_name=external_name,
            serves=cluster_behind(external_name or "", cluster.namespace) == cluster.name,
            instances=int(raw["spec"]["instances"]),
            ready_instances=int(status.get("readyInstances") or 0),
            pods=tuple(status.get("instanceNames") or ()),
            claimed_backup=datetime.fromisoformat(claimed) if claimed else None,
            certificates={name: _go_time(text) for name, text in ends.items()},
            retention_policy=retention_policy,
        )


@dataclass(frozen=True, kw_only=True)
class Replica:
    """A standby as its primary sees it; ``lag`` is None while nothing was written."""

    name: str
    state: str
    lag: timedelta | None


@dataclass(frozen=True, kw_only=True)
class DatabaseFacts:
    """What the primary says of itself. ``now`` is its clock, and ``asked_at`` ours in the middle of the question.

    ``position`` is that in the WAL, ``size`` of all its databases and ``wal_size`` of its WAL folder, in bytes;
    ``waiting`` are full segments that wait to be archived, the oldest since ``waiting_since``.
    """

    asked_at: datetime
    now: datetime
    position: int
    segment_size: int
    size: int
    wal_size: int
    archive_timeout: timedelta
    last_archived: str
    last_archived_at: datetime | None
    last_failed: str
    last_failed_at: datetime | None
    waiting: int
    waiting_since: datetime | None
    replicas: tuple[Replica, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A mounted volume of an instance, in bytes. ``free`` is what PostgreSQL's user can still write; ``claimed`` what
    its claim has, None where that is not known.
    """

    pod: str
    path: str
    used: int
    free: int
    claimed: int | None = None


@dataclass(frozen=True, kw_only=True)
class ArchiveSeen:
    """What the bucket holds: of the serving Cluster's serverName, None where there is no such folder."""

    server_name: str
    archive: Archive | None
    server_names: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class BackupRun:
    """A ``Backup`` object; ``backup_id`` is that in the bucket, empty while there is none. ``in_bucket`` is False for a
    volume snapshot, which never comes there.
    """

    name: str
    phase: str
    error: str
    backup_id: str
    created: datetime
    ended: datetime | None
    in_bucket: bool = True


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A ``ScheduledBackup``; ``in_bucket`` is False for one that makes volume snapshots."""

    name: str
    schedule: str
    suspended: bool
    next_at: datetime | None
    in_bucket: bool = True


@dataclass(frozen=True, kw_only=True)
class BackupObjects:
    """CloudNativePG's objects about one Cluster's backups, oldest first."""

    runs: tuple[BackupRun, ...]
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True, kw_only=True)
class Program:
    """A Deployment of the operator or of its plugin; ``version`` is empty where its image does not tell."""

    name: str
    version: str
    ready: int


@dataclass(frozen=True, kw_only=True)
class Operators:
    """What runs next to the database; None for what is not there."""

    operator: Program | None
    plugin: Program | None
    plugin_fault: str = ""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """By whom the Cluster's pods reach the bucket: the Kubernetes service account and the Google one it stands for.

    ``found`` says that the Kubernetes one is there; ``google`` is empty where no annotation names one.
    """

    account: str
    found: bool
    google: str


@dataclass(frozen=True, kw_only=True)
class HealthSnapshot:
    """What was there at ``seen_at`` (aware UTC).

    ``objects`` are the bytes of each base backup's own objects in the bucket, without its description; ``scratches``
    the Clusters that a drill or an extract of this environment has made for itself; ``own_ends`` when the credentials
    of this very check end; ``engine`` is what was seen of Pulumi on this machine; ``commands`` are the environment's.
    """

    seen_at: datetime
    commands: CommandLines
    serving: ServingCluster | Unavailable
    database: DatabaseFacts | Unavailable
    volumes: tuple[Volume, ...] | Unavailable
    archive: ArchiveSeen | Unavailable
    objects: Mapping[str, int] | Unavailable
    bucket: BucketFacts | Unavailable
    backups: BackupObjects | Unavailable
    operators: Operators | Unavailable
    identity: Identity | Unavailable
    argocd: tuple[Manager, ...] | Unavailable
    record: Record | Unavailable | None
    scratches: tuple[ClusterSnapshot, ...] | Unavailable
    engine: str | Unavailable
    own_ends: Mapping[str, datetime] = field(default_factory=dict)
    coefficients: Coefficients = field(default_factory=Coefficients)

    @property
    def namespace(self) -> str:
        """That of the Cluster that serves; empty where it was not seen."""
        return "" if isinstance(self.serving, Unavailable) else self.serving.cluster.namespace

    @property
    def take_one(self) -> str:
        """The command that takes a base backup."""
        name = "CLUSTER" if isinstance(self.serving, Unavailable) else self.serving.cluster.name
        return self.commands.kubectl("cnpg", "backup", name, namespace=self.namespace)


def _go_time(text: str) -> datetime:
    """A time as Go prints it, ``2027-02-23 15:33:05 +0000 UTC``: CloudNativePG's status has it so."""
    return datetime.strptime(" ".join(text.split()[:3]), "%Y-%m-%d %H:%M:%S %z")
