"""The backups as they lie in the object store, read by barman's own catalogue.

``Backup`` objects and ``Cluster.status`` are claims; what a recovery can use is what the bucket holds. Barman wrote it,
so barman reads it.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import requests
from google.api_core.exceptions import ClientError, Forbidden, GoogleAPIError, NotFound, Unauthorized
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage

from dr.archive.catalogue import BaseBackup, Catalogue
from dr.config.environment import BackupPlace
from dr.core.errors import AccessError
from dr.core.wal_names import position_of

_SECONDS = 10


def read_catalogue(place: BackupPlace, server_name: str) -> Catalogue:
    """The completed base backups of ``server_name``, oldest first, and the serverNames beside it.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or ``bucket-forbidden``.
    """
    with failures_explained(place):
        server_names = list_server_names(place)
        backups = _backups(place, server_name) if server_name in server_names else []
    return Catalogue(server_name=server_name, backups=tuple(backups), server_names=frozenset(server_names))


@contextmanager
def failures_explained(place: BackupPlace) -> Iterator[None]:
    """Turns a failure of the object store into AccessError ``bucket-unreachable``, ``bucket-missing``,
    ``bucket-forbidden`` or ``archive-encrypted``.
    """
    try:
        yield
    except (GoogleAPIError, GoogleAuthError, requests.exceptions.RequestException, OSError) as error:
        raise _explained(place, error) from error


def _explained(place: BackupPlace, error: Exception) -> AccessError:
    if isinstance(error, ClientError) and re.search(r"encrypt|kms", str(error), re.IGNORECASE):
        return AccessError(
            "archive-encrypted",
            f"what lies in the bucket {place.bucket} is encrypted with a key that cannot be used: {_first_line(error)}",
            "enable the key in Cloud KMS, and let the bucket's service agent use it; without the key nothing there can "
            "be read",
        )
    if isinstance(error, NotFound):
        return AccessError(
            "bucket-missing",
            f"there is no bucket {place.bucket}",
            "correct backup.bucket; if the bucket is gone, so are the backups",
        )
    if isinstance(error, (Forbidden, Unauthorized, GoogleAuthError)):
        return AccessError(
            "bucket-forbidden",
            f"the bucket {place.bucket} does not let this user in: {_first_line(error)}",
            "log in (gcloud auth application-default login); roles/storage.objectViewer on the bucket is enough",
        )
    return AccessError(
        "bucket-unreachable",
        f"the bucket {place.bucket} cannot be reached: {_first_line(error)}",
        "check the network, and that the object store answers: gcloud storage ls gs://" + place.bucket,
    )


def list_server_names(place: BackupPlace) -> set[str]:
    """The folders right below the backup path. The first call to the bucket, so it gives up at once rather than
    retry.
    """
    listing = storage.Client().list_blobs(
        place.bucket, prefix=f"{place.path}/", delimiter="/", retry=None, timeout=_SECONDS
    )
    for _ in listing:  # the prefixes come with the pages
        pass
    return {prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in listing.prefixes}


def stored_bytes(place: BackupPlace, server_name: str, backup_id: str) -> int:
    """How much a base backup takes up in the bucket, as it lies there, compressed or not. Raises AccessError."""
    with failures_explained(place):
        prefix = f"{place.path}/{server_name}/base/{backup_id}/"
        return sum(
            blob.size or 0 for blob in storage.Client().list_blobs(place.bucket, prefix=prefix, timeout=_SECONDS)
        )


def _backups(place: BackupPlace, server_name: str) -> list[BaseBackup]:
    # Imported here: barman takes most of a second to import, and a wrong bucket should not have to wait for it.
    from barman.cloud import CloudBackupCatalog
    from barman.cloud_providers.google_cloud_storage import GoogleCloudInterface
    from barman.infofile import BackupInfo

    logging.getLogger("barman").setLevel(logging.ERROR)
    catalogue = CloudBackupCatalog(GoogleCloudInterface(place.url), server_name)
    done = [info for info in catalogue.get_backup_list().values() if info.status == BackupInfo.DONE]
    return sorted((base_backup(info) for info in done), key=lambda backup: backup.end)


def base_backup(info: Any) -> BaseBackup:
    """The base backup that barman's ``info`` describes."""
    return BaseBackup(
        backup_id=info.backup_id,
        begin=info.begin_time.astimezone(UTC),
        end=info.end_time.astimezone(UTC),
        timeline=int(info.timeline),
        begin_wal=info.begin_wal,
        end_wal=info.end_wal,
        begin_lsn=position_of(info.begin_xlog),
        end_lsn=position_of(info.end_xlog),
        segment_size=info.xlog_segment_size,
        size=info.size,
        major=int(info.version) // 10000 if info.version else None,
        system_id=str(info.systemid or ""),
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
