"""The object store: what barman's catalogue says through a double, and how each way of failing is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from urllib3.exceptions import ProtocolError

from dr.archive.gcs import failures_explained
from dr.archive.reader import read_catalogue, stored_bytes
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from tests.support.builders import BUCKET
from tests.support.doubles import ObjectStoreDouble, closed_port

PLACE = BackupLocation(bucket=BUCKET, path="prod")
LISTING = f"/storage/v1/b/{BUCKET}/o"

pytestmark = pytest.mark.usefixtures("own_home")


def _failure(place: BackupLocation = PLACE) -> AccessError:
    with pytest.raises(AccessError) as refused:
        read_catalogue(place, "postgres-prod")
    assert refused.value.remedy
    return refused.value


def test_a_backup_is_read_with_all_its_facts(store: ObjectStoreDouble) -> None:
    store.add_backup("20261122T151231", "2026-11-22 15:12:33.123456+00:00")
    (backup,) = read_catalogue(PLACE, "postgres-prod").backups
    assert backup.backup_id == "20261122T151231"
    assert backup.begin == datetime(2026, 11, 22, 15, 12, 31, 123456, UTC)
    assert backup.end == datetime(2026, 11, 22, 15, 12, 33, 123456, UTC)
    assert (backup.begin_wal, backup.end_wal) == ("000000010000000000000003", "000000010000000000000004")
    assert (backup.timeline, backup.size) == (1, 67108864)


def test_times_are_in_utc_whatever_the_servers_zone(store: ObjectStoreDouble) -> None:
    store.add_backup("20261123T001231", "2026-11-23 00:12:33+09:00")
    (backup,) = read_catalogue(PLACE, "postgres-prod").backups
    assert backup.end == datetime(2026, 11, 22, 15, 12, 33, tzinfo=UTC)
    assert (backup.begin.utcoffset(), backup.end.utcoffset()) == (timedelta(0), timedelta(0))


def test_backups_come_oldest_first(store: ObjectStoreDouble) -> None:
    store.add_backup("b", "2026-11-22 15:12:33+00:00")
    store.add_backup("a", "2026-11-23 15:12:33+00:00")
    assert [backup.backup_id for backup in read_catalogue(PLACE, "postgres-prod").backups] == ["b", "a"]


@pytest.mark.parametrize("status", ["FAILED", "STARTED", "EMPTY"])
def test_a_backup_that_did_not_complete_is_none(store: ObjectStoreDouble, status: str) -> None:
    store.add_backup("20261122T151231", "2026-11-22 15:12:33+00:00", status=status)
    assert read_catalogue(PLACE, "postgres-prod").backups == ()


def test_a_folder_without_backup_info_is_no_backup(store: ObjectStoreDouble) -> None:
    store.objects["prod/postgres-prod/base/20261122T151231/data.tar"] = b"half"
    assert read_catalogue(PLACE, "postgres-prod").backups == ()


def test_the_server_names_beside_are_told(store: ObjectStoreDouble) -> None:
    store.add_backup("x", "2026-11-22 15:12:33+00:00", server="postgres-prod")
    store.add_backup("x", "2026-11-22 15:12:33+00:00", server="postgres-prod-recovered")
    store.objects["dev/postgres-dev/wals/x"] = b""
    catalogue = read_catalogue(PLACE, "postgres-prod")
    assert catalogue.server_names == {"postgres-prod", "postgres-prod-recovered"}
    assert len(catalogue.backups) == 1


def test_an_empty_bucket_has_an_empty_catalogue(store: ObjectStoreDouble) -> None:
    catalogue = read_catalogue(PLACE, "postgres-prod")
    assert (catalogue.backups, catalogue.server_names) == ((), frozenset())


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "bucket-missing"), (403, "bucket-forbidden"), (401, "google-credentials"), (503, "bucket-unreachable")],
)
def test_a_refusal_is_told_by_its_kind_without_trying_again(store: ObjectStoreDouble, status: int, code: str) -> None:
    store.on(LISTING, {"error": {"code": status, "message": "no"}}, status=status)
    refused = _failure()
    assert refused.code == code
    assert BUCKET in refused.cause
    assert len([asked for asked in store.asked if asked.path == LISTING]) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "Permission denied on Cloud KMS key. Please ensure that your service account has been authorized"),
        (400, "The target object is encrypted by a customer-supplied encryption key."),
        (400, "Cloud KMS key is disabled or destroyed"),
    ],
)
def test_an_archive_whose_key_cannot_be_used_is_told_from_a_bucket_that_lets_nobody_in(
    store: ObjectStoreDouble, status: int, message: str
) -> None:
    store.on(LISTING, {"error": {"code": status, "message": message}}, status=status)
    refused = _failure()
    assert refused.code == "archive-encrypted"
    assert message[:40] in refused.cause


def test_a_store_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    refused = _failure()
    assert refused.code == "bucket-unreachable"
    assert f"gs://{BUCKET}" in refused.remedy


def test_missing_credentials_are_told_with_how_to_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere.json"))
    refused = _failure()
    assert refused.code == "google-credentials"
    assert "application-default login" in refused.remedy


def test_what_a_base_backup_takes_up_is_the_sum_of_its_objects(store: ObjectStoreDouble) -> None:
    store.add_backup("20240501T030000", "2024-05-01 03:00:33+00:00")
    folder = "prod/postgres-prod/base/20240501T030000"
    store.objects[f"{folder}/data_0001.tar"] = b"12345"
    expected = sum(len(content) for name, content in store.objects.items() if name.startswith(folder))
    assert stored_bytes(PLACE, "postgres-prod", "20240501T030000") == expected
    assert stored_bytes(PLACE, "postgres-prod", "20240502T030000") == 0


def test_a_connection_that_breaks_within_a_body_is_a_store_that_cannot_be_reached() -> None:
    """E1: it was a fault of this tool, with a traceback."""
    broken = ProtocolError("Connection broken: IncompleteRead(20 bytes read, 20 more expected)")
    with pytest.raises(AccessError, match="20 more expected") as failed, failures_explained(PLACE):
        raise broken
    assert failed.value.code == "bucket-unreachable"
