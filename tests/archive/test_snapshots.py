"""Volume snapshots as CloudNativePG marks them: what is read of them, and what makes one useless."""

import base64
from datetime import UTC, datetime
from typing import Any

from dr.archive.snapshots import SnapshotBackup, snapshot_backups
from dr.cnpg.volumes import list_snapshot_backups
from dr.kube.api import KubernetesApi
from tests.support.builders import a_source
from tests.support.doubles import Wire

LABEL = """START WAL LOCATION: 0/5000028 (file 000000010000000000000005)
CHECKPOINT LOCATION: 0/5000060
BACKUP METHOD: streamed
"""
CONTROL = """Latest checkpoint location:           0/6000060
Latest checkpoint's REDO location:    0/6000028
Latest checkpoint's REDO WAL file:    000000010000000000000006
"""
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


def snapshot(name: str = "nightly", role: str = "PG_DATA", **changes: Any) -> dict[str, Any]:
    """A VolumeSnapshot as the API returns it, of an online backup. ``changes`` are of its marks; None takes away."""
    marks = {
        "cnpg.io/pvcRole": role,
        "cnpg.io/onlineBackup": "true",
        "cnpg.io/backupStartTime": "2026-04-27T03:00:00Z",
        "cnpg.io/backupEndTime": "2026-04-27T03:01:00Z",
        "cnpg.io/backupLabelFile": base64.b64encode(LABEL.encode()).decode(),
        "cnpg.io/pgControldata": CONTROL,
        **{f"cnpg.io/{key}": value for key, value in changes.items()},
    }
    return {
        "metadata": {
            "name": name if role == "PG_DATA" else f"{name}-{role.lower()}",
            "labels": {
                "cnpg.io/cluster": "postgres-prod",
                "cnpg.io/backupName": name,
                "cnpg.io/majorVersion": "17",
                **({"cnpg.io/tablespaceName": "cold"} if role == "PG_TABLESPACE" else {}),
            },
            "annotations": {key: value for key, value in marks.items() if value is not None},
        },
        "spec": {"volumeSnapshotClassName": "fast"},
        "status": {"readyToUse": True},
    }


def _read(*found: dict[str, Any], **given: Any) -> tuple[SnapshotBackup, ...]:
    common: dict[str, Any] = {"backups": (), "needs_wal_storage": False, "tablespaces": (), "drivers": {}}
    return snapshot_backups(found, cluster="postgres-prod", **{**common, **given})


def test_an_online_one_begins_where_its_label_says_and_where_it_ends_only_its_backup_knows() -> None:
    (alone,) = _read(snapshot())
    assert (alone.begin_wal, alone.begin_lsn, alone.end_lsn) == ("000000010000000000000005", 0x5000028, None)
    assert alone.begin == datetime(2026, 4, 27, 3, 0, tzinfo=UTC)
    # Times are cut off to whole seconds, so it surely has ended a second later.
    assert alone.end == datetime(2026, 4, 27, 3, 1, 1, tzinfo=UTC)
    assert (alone.major, alone.fault) == (17, "")
    (known,) = _read(snapshot(), backups=[{"metadata": {"name": "nightly"}, "status": {"endLSN": "0/5000138"}}])
    assert known.end_lsn == 0x5000138


def test_a_cold_one_begins_and_ends_where_its_checkpoint_was() -> None:
    (cold,) = _read(snapshot(onlineBackup="false", backupLabelFile=None))
    assert (cold.begin_wal, cold.begin_lsn, cold.end_lsn) == ("000000010000000000000006", 0x6000028, 0x6000028)


def test_the_snapshots_of_one_backup_belong_together() -> None:
    parts = [snapshot(role=role) for role in ("PG_TABLESPACE", "PG_WAL", "PG_DATA")]
    (found,) = _read(*parts, needs_wal_storage=True, tablespaces=["cold"])
    assert (found.storage, found.wal_storage) == ("nightly", "nightly-pg_wal")
    assert found.tablespaces == {"cold": "nightly-pg_tablespace"}
    assert found.fault == ""
    (without,) = _read(snapshot(), needs_wal_storage=True, tablespaces=["cold"])
    assert without.fault == "it has no snapshot of the volume of the WAL; it has no snapshot of the tablespace cold"


def test_what_is_not_ready_failed_or_without_its_driver_is_said() -> None:
    (waiting,) = _read({**snapshot(), "status": {}})
    (failed,) = _read({**snapshot(), "status": {"error": {"message": "quota"}}})
    (foreign,) = _read(snapshot(), drivers={"fast": "pd.csi.storage.gke.io"})
    assert waiting.fault == "VolumeSnapshot nightly is not ready to use"
    assert failed.fault == "VolumeSnapshot nightly failed: quota"
    assert foreign.fault == "the driver of VolumeSnapshot nightly, pd.csi.storage.gke.io, is not in this cluster"


def test_what_has_not_ended_or_is_of_others_is_none() -> None:
    other = snapshot("other")
    other["metadata"]["labels"]["cnpg.io/cluster"] = "postgres-dev"
    by_hand = snapshot("by-hand")
    del by_hand["metadata"]["labels"]["cnpg.io/backupName"]
    damaged = snapshot("damaged", backupLabelFile="%", pgControldata="")
    unfinished = snapshot("unfinished", backupEndTime=None)
    assert _read(other, by_hand, damaged, unfinished, snapshot("without-data", role="PG_WAL")) == ()


def test_they_come_oldest_first() -> None:
    later = snapshot("later", backupEndTime="2026-04-27T04:01:00Z")
    assert [one.name for one in _read(later, snapshot())] == ["nightly", "later"]


def _with_snapshots(wire: Wire, *, driver: bool) -> None:
    wire.on(f"{SNAPSHOTS}/namespaces/data/volumesnapshots", {"items": [snapshot()]})
    wire.on("/apis/postgresql.cnpg.io/v1/namespaces/data/backups", {"items": []})
    wire.on(f"{SNAPSHOTS}/volumesnapshotclasses/fast", {"driver": "pd.csi.storage.gke.io"})
    path = "/apis/storage.k8s.io/v1/csidrivers/pd.csi.storage.gke.io"
    gone = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404, "details": {"name": "x"}}
    there = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "x"}, "spec": {}}
    wire.on(path, there if driver else gone, status=200 if driver else 404)


def test_they_are_read_from_the_cluster_with_their_driver(api: KubernetesApi, wire: Wire) -> None:
    _with_snapshots(wire, driver=True)
    (found,) = list_snapshot_backups(api, a_source()) or ()
    assert (found.name, found.fault) == ("nightly", "")
    _with_snapshots(wire, driver=False)
    (found,) = list_snapshot_backups(api, a_source()) or ()
    assert "pd.csi.storage.gke.io, is not in this cluster" in found.fault


def test_a_cluster_that_knows_no_snapshots_is_told_from_one_without_any(api: KubernetesApi, wire: Wire) -> None:
    assert list_snapshot_backups(api, a_source()) is None
    wire.on(f"{SNAPSHOTS}/namespaces/data/volumesnapshots", {"items": []})
    assert list_snapshot_backups(api, a_source()) == ()
    wire.on(f"{SNAPSHOTS}/namespaces/data/volumesnapshots", {"kind": "Status", "reason": "Forbidden"}, status=403)
    assert list_snapshot_backups(api, a_source()) is None
