"""Base backups that are volume snapshots, as CloudNativePG takes them (``spec.method: volumeSnapshot``). Pure.

A snapshot becomes the recovered Cluster's volume, and the WAL comes from the object store as ever. What CloudNativePG
knows of a backup it writes at the ``VolumeSnapshot`` itself (its ``pkg/reconciler/backup/volumesnapshot``), so that it
is known after the ``Backup`` is gone; only where an online one ended in the WAL, the ``Backup`` alone says.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dr.archive.contents import BaseBackup
from dr.core.wal_names import is_segment, position_of, timeline_of

SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
_DATA, _WAL, _TABLESPACE = "PG_DATA", "PG_WAL", "PG_TABLESPACE"
_SECOND = timedelta(seconds=1)
"""Its times are written in whole seconds, cut off."""


@dataclass(frozen=True, kw_only=True)
class SnapshotBackup:
    """One backup by volume snapshots, named as its ``Backup``.

    ``storage``, ``wal_storage`` and ``tablespaces`` are the names of the VolumeSnapshots. ``begin`` and ``end`` are
    aware UTC; ``end_lsn`` is None where nothing says it. ``fault`` is why it cannot be used, empty where it can.
    ``system_id`` is the system identifier of the database that it is of, empty where not recorded.
    """

    name: str
    storage: str
    wal_storage: str | None
    tablespaces: Mapping[str, str]
    begin: datetime
    end: datetime
    begin_wal: str
    begin_lsn: int
    end_lsn: int | None
    major: int | None
    fault: str = ""
    system_id: str = ""

    @property
    def manifest(self) -> dict[str, Any]:
        """The ``volumeSnapshots`` of a Cluster's ``bootstrap.recovery``."""
        return {
            "storage": _reference(self.storage),
            **({"walStorage": _reference(self.wal_storage)} if self.wal_storage else {}),
            **({"tablespaceStorage": _references(self.tablespaces)} if self.tablespaces else {}),
        }

    def as_base(self, segment_size: int) -> BaseBackup:
        """The same as a base backup of the object store, as which it is judged: it needs the same WAL."""
        return BaseBackup(
            backup_id=self.name,
            begin=self.begin,
            end=self.end,
            timeline=timeline_of(self.begin_wal),
            begin_wal=self.begin_wal,
            end_wal=self.begin_wal,
            begin_lsn=self.begin_lsn,
            end_lsn=self.begin_lsn if self.end_lsn is None else self.end_lsn,
            size=None,
            segment_size=segment_size,
            major=self.major,
            system_id=self.system_id,
        )


def snapshot_backups(
    snapshots: Iterable[Mapping[str, Any]],
    backups: Iterable[Mapping[str, Any]],
    *,
    cluster: str,
    needs_wal_storage: bool,
    tablespaces: Sequence[str],
    drivers: Mapping[str, str],
) -> tuple[SnapshotBackup, ...]:
    """The backups of ``cluster`` among VolumeSnapshots, as the API returns them, oldest first; what has no end, or says
    too little of itself, is none. ``backups`` are CloudNativePG's Backups; ``tablespaces`` are those that the Cluster
    has; ``drivers`` maps snapshot classes whose driver is not there to that driver.
    """
    by_backup: dict[str, list[Mapping[str, Any]]] = {}
    for snapshot in snapshots:
        labels = snapshot["metadata"].get("labels") or {}
        if labels.get("cnpg.io/cluster") == cluster and (name := labels.get("cnpg.io/backupName")):
            by_backup.setdefault(name, []).append(snapshot)
    known = {backup["metadata"]["name"]: backup.get("status") or {} for backup in backups}
    found = (_backup(name, parts, known.get(name, {})) for name, parts in by_backup.items())
    judged = (
        _judged(one, by_backup[one.name], needs_wal_storage, tablespaces, drivers) for one in found if one is not None
    )
    return tuple(sorted(judged, key=lambda one: (one.end, one.name)))


def _backup(name: str, parts: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> SnapshotBackup | None:
    data = next((part for part in parts if _role(part) == _DATA), None)
    if data is None:
        return None
    marks, labels = data["metadata"].get("annotations") or {}, data["metadata"].get("labels") or {}
    start = _start(marks)
    if start is None or "cnpg.io/backupEndTime" not in marks:
        return None
    online = marks.get("cnpg.io/onlineBackup") == "true"
    end_lsn = position_of(status["endLSN"]) if status.get("endLSN") else None if online else start[1]
    major = labels.get("cnpg.io/majorVersion", "")
    system = re.search(r"Database system identifier: +(\d+)", marks.get("cnpg.io/pgControldata", ""))
    return SnapshotBackup(
        name=name,
        storage=data["metadata"]["name"],
        wal_storage=next((part["metadata"]["name"] for part in parts if _role(part) == _WAL), None),
        tablespaces={
            part["metadata"]["labels"].get("cnpg.io/tablespaceName", ""): part["metadata"]["name"]
            for part in parts
            if _role(part) == _TABLESPACE
        },
        begin=_time(marks.get("cnpg.io/backupStartTime", marks["cnpg.io/backupEndTime"])),
        end=_time(marks["cnpg.io/backupEndTime"]) + _SECOND,
        begin_wal=start[0],
        begin_lsn=start[1],
        end_lsn=end_lsn,
        major=int(major) if major.isdigit() and int(major) else None,
        system_id=system[1] if system else "",
    )


def _judged(
    found: SnapshotBackup,
    parts: Sequence[Mapping[str, Any]],
    needs_wal_storage: bool,
    tablespaces: Sequence[str],
    drivers: Mapping[str, str],
) -> SnapshotBackup:
    faults = list(_faults(found, parts, needs_wal_storage, tablespaces, drivers))
    return SnapshotBackup(**{**vars(found), "fault": "; ".join(faults)})


def _faults(
    found: SnapshotBackup,
    parts: Sequence[Mapping[str, Any]],
    needs_wal_storage: bool,
    tablespaces: Sequence[str],
    drivers: Mapping[str, str],
) -> Iterator[str]:
    for part in parts:
        name, status = part["metadata"]["name"], part.get("status") or {}
        if error := (status.get("error") or {}).get("message"):
            yield f"VolumeSnapshot {name} failed: {error}"
        elif not status.get("readyToUse"):
            yield f"VolumeSnapshot {name} is not ready to use"
        if driver := drivers.get(part["spec"].get("volumeSnapshotClassName") or ""):
            yield f"the driver of VolumeSnapshot {name}, {driver}, is not in this cluster"
    if needs_wal_storage and found.wal_storage is None:
        yield "it has no snapshot of the volume of the WAL"
    if missing := sorted(set(tablespaces) - set(found.tablespaces)):
        yield f"it has no snapshot of the tablespace {', '.join(missing)}"


def _start(marks: Mapping[str, str]) -> tuple[str, int] | None:
    """The segment and position that a recovery begins with: as ``backup_label`` says, which an online one has, else as
    ``pg_controldata`` did.
    """
    try:
        label = base64.b64decode(marks.get("cnpg.io/backupLabelFile", "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    control = marks.get("cnpg.io/pgControldata", "")
    found = re.search(r"START WAL LOCATION: ([0-9A-F]+/[0-9A-F]+) \(file ([0-9A-F]{24})\)", label)
    if found and is_segment(found[2]):
        return found[2], position_of(found[1])
    place = re.search(r"REDO location: +([0-9A-F]+/[0-9A-F]+)", control)
    segment = re.search(r"REDO WAL file: +([0-9A-F]{24})", control)
    return (segment[1], position_of(place[1])) if place and segment and is_segment(segment[1]) else None


def _role(snapshot: Mapping[str, Any]) -> str:
    metadata = snapshot["metadata"]
    role = (metadata.get("annotations") or {}).get("cnpg.io/pvcRole") or (metadata.get("labels") or {}).get(
        "cnpg.io/pvcRole", ""
    )
    return str(role)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _reference(name: str) -> dict[str, str]:
    return {"apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": name}


def _references(names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {tablespace: _reference(name) for tablespace, name in names.items()}
