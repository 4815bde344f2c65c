"""What a recovery begins from: a base backup in the object store, or one that is volume snapshots. Pure.

Where both would do, the one is taken that leaves less to fetch: a snapshot needs none of the database's files, but all
WAL from its begin on. CloudNativePG itself chooses among the base backups in the object store only.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from dr.archive.catalogue import BaseBackup
from dr.archive.contents import Archive
from dr.archive.snapshots import SnapshotBackup
from dr.archive.wal_holes import problems_of_holes
from dr.archive.window import unusable
from dr.core.errors import Problem
from dr.core.target import AUTO, NEVER, NEWEST, RecoveryTarget
from dr.core.wal_names import lsn, number_of
from dr.recovery.situation import Situation


@dataclass(frozen=True, kw_only=True)
class RecoveryBase:
    """``backup`` is what the recovery begins from, None where there is nothing; ``snapshot`` is the same where it is
    made of volume snapshots; ``archive`` has it among its base backups; ``passed_over`` says why a newer snapshot is
    not used, empty where there is none.
    """

    backup: BaseBackup | None
    snapshot: SnapshotBackup | None
    archive: Archive | None
    passed_over: str = ""

    def __str__(self) -> str:
        """What it is, for people."""
        what = "volume snapshot" if self.snapshot else "base backup"
        return f"{what} {self.backup.backup_id}" if self.backup else "nothing"

    @property
    def described(self) -> str:
        """When it ended and how large it is, too."""
        if self.backup is None:
            return "none"
        size = f", {self.backup.size / 2**20:,.0f} MiB" if self.backup.size else ""
        name = str(self) if self.snapshot else self.backup.backup_id
        return f"{name}, ended {RecoveryTarget(self.backup.end)}{size}"


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
        return replace(bucket, passed_over=said)
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
            cause=f"volume snapshot {known[-1].name} cannot be begun from: {faults[known[-1].name]}",
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
    if target is not None and target.time is not None and snapshot.end > target.time:
        return f"it ended at {RecoveryTarget(snapshot.end)}, after the target"
    if target is not None and target.lsn is not None:
        if snapshot.end_lsn is None:
            return "where it ended in the WAL is not known, as its Backup is gone, and so not whether before the target"
        if snapshot.end_lsn >= target.lsn:
            return f"it ended at LSN {lsn(snapshot.end_lsn)}, not before the target"
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
