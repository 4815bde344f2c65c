"""Everything a recovery decides on, seen once, as one frozen value."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.archive.catalogue import Catalogue
from dr.archive.contents import Archive
from dr.archive.snapshots import SnapshotBackup
from dr.before_drop.drops import Drop
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import StandIn
from dr.config.environment import Environment
from dr.config.names import check_cluster_name
from dr.core.later_commits import LaterCommits
from dr.core.target import AUTO, RecoveryTarget
from dr.gitops.argocd import Manager
from dr.kube.objects import Workload
from dr.postgres.table_argument import TableName
from dr.run.record import Record
from dr.traffic.background_writers import SelfStarter


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What was there at ``seen_at`` (aware UTC). Fields are None for what is not there.

    ``recovered_gave_up`` says that recovery pods of the recovered Cluster have failed and none runs or has succeeded;
    ``other_clusters`` are all the Clusters of the namespace; ``external_name`` is empty for a Service of another type;
    ``database_time`` is the source's own clock, None when its primary did not answer, and ``clock_ahead`` by how much
    it is ahead of this machine's; ``primary_down`` says that the primary was seen not to run, or that there is none;
    ``missing_storage_classes`` are those that the source names and the cluster lacks;
    ``plugin_fault`` is why the operator does not reach the plugin that the source archives by, empty when nothing is
    known against it; ``volume_refusal`` is why a volume such as the source's would be refused, empty when it would not;
    ``later`` are the transactions committed after the target, None when unknown;
    ``argocd`` is what of Argo CD manages the objects that will be touched, outermost first;
    ``self_starters`` is what would write, or wake writers, by itself; ``archive`` is all that the bucket holds of the
    source; ``snapshots`` are its backups by volume snapshots, oldest first, None where the cluster knows none such.
    """

    seen_at: datetime
    source: ClusterSnapshot | None
    recovered: ClusterSnapshot | None
    other_clusters: tuple[str, ...]
    external_name: str | None
    workloads: Mapping[str, Workload | None]
    recovered_gave_up: bool
    app_secret_exists: bool
    missing_storage_classes: tuple[str, ...]
    volume_refusal: str
    plugin_fault: str = ""
    later: LaterCommits | None = None
    argocd: tuple[Manager, ...] = ()
    self_starters: tuple[SelfStarter, ...] = ()
    missing_secrets: tuple[str, ...] = ()
    stands_in: str = ""
    database_time: datetime | None
    clock_ahead: timedelta | None = None
    primary_down: bool = False
    catalogue: Catalogue | None
    archive: Archive | None = None
    snapshots: tuple[SnapshotBackup, ...] | None = None
    record: Record | None


@dataclass(frozen=True, kw_only=True)
class RecoveryRequest:
    """What was asked for. ``target`` is None for the end of the WAL; ``source`` is the Cluster to recover from;
    ``go_on`` agrees to continue with a recovered Cluster that is there already; ``stand_in`` is what the source is
    known by where it is gone; ``expects`` is a table that has to be there afterwards; ``drop`` is what the target was
    found by, None where it was given; ``switchover`` moves the traffic afterwards, by an operation of its own;
    ``snapshot`` says whether to begin from volume snapshots, and from which; ``insists`` takes it upon itself that the
    target may lie behind what is archived, and the end of the WAL before what was; ``trial`` is a drill, which nobody
    needs to insist on.
    """

    target: RecoveryTarget | None
    source: str
    recovered_name: str
    go_on: bool = False
    seal: bool = True
    switchover: bool = False
    snapshot: str = AUTO
    insists: bool = False
    trial: bool = False
    stand_in: StandIn | None = None
    expects: TableName | None = None
    drop: Drop | None = None

    def __post_init__(self) -> None:
        """Raise RequestError when the name cannot be a Cluster's."""
        check_cluster_name(self.recovered_name)

    @property
    def operation(self) -> str:
        """The name of the operation, on the command line and in the journal."""
        return "pitr" if self.target else "latest"

    def command(self, environment: Environment, *, go_on: bool) -> str:
        """The command line that asks for this again."""
        parts = [f"python -m dr {self.operation}", "--env", environment.name]
        parts += [shlex.quote(word) for word in (self.target.options if self.target else ())]
        if self.source != environment.source_cluster:
            parts += ["--source", self.source]
        if self.recovered_name != environment.recovered_cluster:
            parts += ["--recovered-name", self.recovered_name]
        if self.stand_in is not None:
            parts += ["--source-manifest", shlex.quote(self.stand_in.origin)]
        if self.expects is not None:
            parts += ["--expect-table", shlex.quote(str(self.expects))]
        if self.snapshot != AUTO:
            parts += ["--snapshot", shlex.quote(self.snapshot)]
        if not self.seal:
            parts.append("--skip-seal")
        if self.switchover:
            parts.append("--switchover")
        return " ".join([*parts, *(["--continue"] if go_on else [])])
