"""Everything a recovery decides on, seen once, as one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.archive.catalogue import Catalogue
from dr.archive.contents import Archive
from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.later_commits import LaterCommits
from dr.gitops.argocd import Manager
from dr.run.record import Record
from dr.traffic.background_writers import SelfStarter


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment at one moment.

    ``replicas`` is the wanted count, ``return_to`` the one to go back to after a stop; ``selector`` finds its pods.
    """

    name: str
    replicas: int
    selector: str
    argo_managed: bool
    return_to: int = 0


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
