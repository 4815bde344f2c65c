"""Backups in Azure Blob Storage: what is read, by whom, and how each way of failing is told."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr.archive.reader import list_server_names, open_archive, read_archives, read_catalogue, stored_bytes
from dr.archive.store import MissingObjectError, store_of
from dr.archive.wal_reader import sampled
from dr.cnpg.cluster_copies import find_copy, keep_copy
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from tests.support.archives import SYSTEM, backup, put_backup, put_wal, wal
from tests.support.azure import KEY, AzureDouble, azure
from tests.support.builders import BUCKET, NOW, a_source
from tests.support.doubles import ObjectStoreDouble, closed_port

SERVER = "postgres-prod"


@pytest.fixture
def container(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureDouble]:
    """A container with the archive ``postgres-prod``: a base backup and five segments."""
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_STORAGE_KEY", KEY)
    written = ObjectStoreDouble(bucket=BUCKET)
    put_backup(written, SERVER, backup(3))
    put_wal(written, SERVER, wal(range(1, 6)), suffix=".gz")
    with azure() as double:
        double.objects = dict(written.objects)
        yield double


def _place(container: AzureDouble) -> BackupLocation:
    return BackupLocation.model_validate({"destinationPath": container.destination})


def test_an_archive_in_azure_is_read_as_one_in_cloud_storage(container: AzureDouble) -> None:
    place = _place(container)
    (found,) = read_archives(place)
    assert (found.server_name, found.backups, found.segments) == (SERVER, (backup(3),), {1: (1, 2, 3, 4, 5)})
    assert found.archived(1, 5) == datetime(2026, 4, 20, tzinfo=UTC)
    assert read_catalogue(place, SERVER).backups == (backup(3),)
    assert list_server_names(place) == {SERVER}
    assert stored_bytes(place, SERVER, "backup-3") > 0


def test_first_pages_are_read_by_their_range(container: AzureDouble) -> None:
    found = sampled(open_archive(_place(container), SERVER))
    assert set(found.read.values()) == {SYSTEM}
    assert (len(found.read), found.damaged, found.unasked) == (5, {}, {})


def test_the_copy_of_a_cluster_is_kept_beside_its_backups(container: AzureDouble) -> None:
    place = _place(container)
    assert find_copy(place, SERVER) is None
    keep_copy(place, a_source(), NOW)
    copy = find_copy(place, SERVER)
    assert copy is not None
    assert copy.cluster.spec == a_source().spec


def _refused(call: Callable[[], object]) -> AccessError:
    with pytest.raises(AccessError) as refused:
        call()
    assert refused.value.remedy
    return refused.value


@pytest.mark.parametrize(
    ("status", "azures", "code"),
    [
        (404, "ContainerNotFound", "bucket-missing"),
        (403, "AuthorizationPermissionMismatch", "bucket-forbidden"),
        (403, "AuthenticationFailed", "store-credentials"),
        (401, "InvalidAuthenticationInfo", "store-credentials"),
        (403, "KeyVaultEncryptionKeyNotFound", "archive-encrypted"),
        (503, "ServerBusy", "bucket-unreachable"),
    ],
)
def test_a_refusal_is_told_by_its_kind_without_trying_again(
    container: AzureDouble, status: int, azures: str, code: str
) -> None:
    container.refuses = (status, azures)
    place = _place(container)
    assert _refused(lambda: read_catalogue(place, SERVER)).code == code
    assert len(container.asked) == 1


def test_what_the_store_does_not_tell_is_told(container: AzureDouble) -> None:
    assert _refused(store_of(_place(container)).facts).code == "bucket-settings-unknown"
    with pytest.raises(MissingObjectError):
        store_of(_place(container)).part("prod/nothing", 0, 10)


def test_a_store_that_is_not_there_is_told(container: AzureDouble) -> None:
    place = BackupLocation.model_validate({"destinationPath": f"{closed_port()}/acme/backups"})
    assert _refused(lambda: list_server_names(place)).code == "bucket-unreachable"


def test_a_login_that_is_missing_is_told(container: AzureDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure's default login asks the network of a machine in Azure; here it is at once that there is none."""
    monkeypatch.delenv("AZURE_STORAGE_KEY")
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    place = BackupLocation.model_validate({"destinationPath": "https://acme.blob.core.windows.net/backups"})
    assert _refused(lambda: list_server_names(place)).code == "store-credentials"
