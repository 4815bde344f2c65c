"""Everything a recovery decides on, seen once, as frozen values: the request, the situation, the base. Pure.

Where both would do, the one is taken that leaves less to fetch: a snapshot needs none of the database's files, but all
WAL from its begin on. CloudNativePG itself chooses among the base backups in the object store only.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from dr.archive.contents import Archive, BaseBackup, Catalogue
from dr.archive.snapshots import SnapshotBackup
from dr.archive.window import problems_of_holes, unusable
from dr.before_drop.drops import Drop
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import StandIn
from dr.config.environment import Environment
from dr.config.names import check_cluster_name
from dr.core.errors import Problem
from dr.core.target import (
    AUTO,
    NEVER,
    NEWEST,
    ImmediateTarget,
    LaterCommits,
    LsnTarget,
    NameTarget,
    RecoveryTarget,
    TimeTarget,
    XidTarget,
)
from dr.core.text import exact_moment_of, mebibytes_of
from dr.core.wal_names import lsn, number_of
from dr.gitops.argocd import Manager
from dr.kube.objects import CopiedSecret, Workload
from dr.postgres.clients import Client
from dr.postgres.outside import Outside
from dr.postgres.table_name import TableName
from dr.run.record import Record
from dr.traffic.writer_model import BackgroundWriter


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What was there at ``seen_at`` (aware UTC). Fields are None for what is not there.

    ``recovered_gave_up`` says that recovery pods of the recovered Cluster have failed and none runs or has succeeded;
    ``other_clusters`` are all the Clusters of the namespace; ``external_name`` is empty for a Service of another type;
    ``password_copy`` is what is there under the name of the recovered Cluster's Secret; ``authority_copy`` is that of
    its CA's, None where the source's cannot be copied; ``database_time`` is the source's own clock, None when its
    primary did not answer, and ``clock_ahead`` by how much it is ahead of this machine's; ``primary_down`` says that
    the primary was seen not to run, or that there is none; ``missing_storage_classes`` are those that the source names
    and the cluster lacks; ``plugin_fault`` is why the operator does not reach the plugin that the source archives by,
    empty when nothing is known against it; ``volume_refusal`` is why a volume such as the source's would be refused,
    empty when it would not; ``commits_after_target`` are the transactions committed after the target, None when
    unknown; ``argocd`` is what of Argo CD manages the objects that will be touched, outermost first; ``service_labels``
    are those of the environment's Service; ``background_writers`` is what would write, or wake writers, automatically;
    ``clients`` are those connected to the source whom no step stops, and ``outside`` is what acts on the outside in it,
    each None where that could not be asked; ``archive`` is all that the bucket holds of the source; ``snapshots`` are
    its backups by volume snapshots, oldest first, None where the cluster knows none such.
    """

    seen_at: datetime
    source: ClusterSnapshot | None
    recovered: ClusterSnapshot | None
    other_clusters: tuple[str, ...]
    external_name: str | None
    workloads: Mapping[str, Workload | None]
    service_labels: Mapping[str, str] = field(default_factory=dict)
    recovered_gave_up: bool
    app_secret_exists: bool
    missing_storage_classes: tuple[str, ...]
    volume_refusal: str
    plugin_fault: str = ""
    commits_after_target: LaterCommits | None = None
    argocd: tuple[Manager, ...] = ()
    background_writers: tuple[BackgroundWriter, ...] = ()
    clients: tuple[Client, ...] | None = ()
    outside: Outside | None = field(default_factory=Outside)
    missing_secrets: tuple[str, ...] = ()
    password_copy: CopiedSecret = CopiedSecret.MISSING
    authority_copy: CopiedSecret | None = None
    stand_in_origin: str = ""
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
    ``snapshot`` says whether to begin from volume snapshots, and from which; ``insists`` accepts that the
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
        parts = list(self.target.options if self.target else ())
        if self.source != environment.source_cluster:
            parts += ["--source", self.source]
        if self.recovered_name != environment.recovered_cluster:
            parts += ["--recovered-name", self.recovered_name]
        if self.stand_in is not None:
            parts += ["--source-manifest", self.stand_in.origin]
        if self.expects is not None:
            parts += ["--expect-table", str(self.expects)]
        if self.snapshot != AUTO:
            parts += ["--snapshot", self.snapshot]
        if not self.seal:
            parts.append("--skip-seal")
        if self.switchover:
            parts.append("--switchover")
        return environment.commands.dr(self.operation, *parts, *(["--continue"] if go_on else []))


@dataclass(frozen=True, kw_only=True)
class RecoveryBase:
    """``backup`` is what the recovery begins from, None where there is nothing; ``snapshot`` is the same where it is
    made of volume snapshots; ``archive`` has it among its base backups; ``skipped_reason`` says why a newer snapshot is
    not used, empty where there is none.
    """

    backup: BaseBackup | None
    snapshot: SnapshotBackup | None
    archive: Archive | None
    skipped_reason: str = ""

    def __str__(self) -> str:
        """What it is, for people."""
        what = "volume snapshot" if self.snapshot else "base backup"
        return f"{what} {self.backup.backup_id}" if self.backup else "nothing"

    @property
    def described(self) -> str:
        """When it ended and how large it is, too."""
        if self.backup is None:
            return "none"
        size = f", {mebibytes_of(self.backup.size)}" if self.backup.size else ""
        name = str(self) if self.snapshot else self.backup.backup_id
        return f"{name}, ended {exact_moment_of(self.backup.end)}{size}"


def base_of(target: RecoveryTarget | None, wanted: str, situation: Situation) -> RecoveryBase:
    """The base for ``target``; ``wanted`` is what ``--snapshot`` says."""
    catalogue, archive = situation.catalogue, situation.archive
    stored = catalogue.base_for(target) if catalogue else None
    bucket = RecoveryBase(backup=stored, snapshot=None, archive=archive)
    if wanted == NEVER or (wanted == AUTO and target is not None and target.backup_id is not None):
        return bucket
    known = _wanted(situation.snapshots or (), wanted)
    faults = {one.name: _fault(one, target, situation) for one in known}
    usable = [one for one in known if not faults[one.name]]
    if not usable or archive is None:
        newer = [one for one in known if stored is None or one.end > stored.end]
        said = f"volume snapshot {newer[-1].name} is not used: {faults[newer[-1].name]}" if newer else ""
        return replace(bucket, skipped_reason=said)
    chosen = usable[-1]
    backup = chosen.as_base(archive.segment_size)
    if wanted == AUTO and stored is not None and not _less_to_fetch(backup, stored):
        return bucket
    return RecoveryBase(backup=backup, snapshot=chosen, archive=_with(archive, backup))


def problems_of_snapshot(target: RecoveryTarget | None, wanted: str, situation: Situation) -> Iterator[Problem]:
    """Why the snapshot that is asked for cannot be begun from."""
    if wanted in {AUTO, NEVER}:
        return
    if situation.snapshots is None:
        yield Problem(
            code="snapshots-not-supported",
            cause="this cluster does not know VolumeSnapshots: their CRD is not installed, or not this user's to read",
            remedy="leave --snapshot out: the base backups in the object store do without; or install the snapshot "
            "controller and the volumes' CSI driver",
        )
        return
    known = _wanted(situation.snapshots, wanted)
    if not known:
        there = ", ".join(one.name for one in reversed(situation.snapshots[-5:]))
        name = "volume snapshot backup" + ("" if wanted == NEWEST else f" {wanted}")
        yield Problem(
            code="snapshot-missing",
            cause=f"there is no {name} of {situation.source.name if situation.source else 'the source'}",
            remedy=f"give one of: {there}"
            if there
            else "leave --snapshot out: the object store may have a base backup",
        )
        return
    faults = {one.name: _fault(one, target, situation) for one in known}
    if all(faults.values()):
        others = [one.name for one in situation.snapshots if not _fault(one, target, situation)]
        other = f"--snapshot {shlex.quote(others[-1])} would do; or " if others else ""
        yield Problem(
            code="snapshot-not-usable",
            cause=f"volume snapshot {known[-1].name} is not usable: {faults[known[-1].name]}",
            remedy=f"{other}leave --snapshot out: the best that can be used is taken",
        )


def _wanted(snapshots: tuple[SnapshotBackup, ...], wanted: str) -> tuple[SnapshotBackup, ...]:
    return tuple(one for one in snapshots if wanted in {AUTO, NEWEST, one.name})


def _fault(snapshot: SnapshotBackup, target: RecoveryTarget | None, situation: Situation) -> str:
    """Why ``target`` cannot be reached from ``snapshot``, empty where it can."""
    if snapshot.fault:
        return snapshot.fault
    archive, source = situation.archive, situation.source
    if archive is None or source is None:
        return "no WAL is archived that could be replayed on it"
    if snapshot.major and source.major and snapshot.major != source.major:
        return f"it is of PostgreSQL {snapshot.major}, and {source.name} runs {source.major}"
    match target:
        case TimeTarget() if snapshot.end > target.time:
            return f"it ended at {exact_moment_of(snapshot.end)}, after the target"
        case LsnTarget():
            if snapshot.end_lsn is None:
                why = "as its Backup is gone, and so not whether before the target"
                return f"where it ended in the WAL is not known, {why}"
            if snapshot.end_lsn >= target.lsn:
                return f"it ended at LSN {lsn(snapshot.end_lsn)}, not before the target"
        case TimeTarget() | XidTarget() | NameTarget() | ImmediateTarget() | None:
            pass
        case _:
            assert_never(target)
    backup = snapshot.as_base(archive.segment_size)
    whole = _with(archive, backup)
    if backup in unusable(whole):
        return f"WAL segment {snapshot.begin_wal}, which it begins with, is not archived"
    if target is not None and target.timeline and not archive.path(target.timeline).passes(backup):
        return f"timeline {target.timeline} does not come by it"
    missing = problems_of_holes(whole, backup, target, seen_at=situation.seen_at, insists=True)
    return next((problem.cause for problem in missing), "")


def _less_to_fetch(snapshot: BaseBackup, stored: BaseBackup) -> bool:
    """Whether the WAL between the two, which only the snapshot needs, is no more than the files of the stored one."""
    more = number_of(stored.begin_wal, stored.segment_size) - number_of(snapshot.begin_wal, snapshot.segment_size)
    return more <= 0 if stored.size is None else more * stored.segment_size <= stored.size


def _with(archive: Archive, backup: BaseBackup) -> Archive:
    return replace(archive, backups=tuple(sorted((*archive.backups, backup), key=lambda one: one.end)))
