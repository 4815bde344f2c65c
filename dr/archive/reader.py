"""What is in the bucket below the backup path, read by barman's own catalogue: base backups, WAL, timeline histories.

Barman lists names; when the objects were made is kept too, as the time of the newest WAL is the right end of what
can be recovered, and how large they are, as a segment of another size cannot be replayed.

``Backup`` objects and ``Cluster.status`` are claims; what a recovery can use is what the bucket holds. Barman wrote it,
so barman reads it.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from json import JSONDecodeError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from google.api_core.exceptions import ClientError, Forbidden, GoogleAPIError, NotFound, Unauthorized
from google.auth.exceptions import GoogleAuthError, TransportError
from google.cloud import storage
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from dr.archive.contents import Archive, BaseBackup, Catalogue, IncompleteBackup, Switch
from dr.archive.wal_validity import fault_of_size
from dr.config.environment import BackupLocation
from dr.core.errors import AccessError
from dr.core.wal_names import is_history, is_segment, position_of, timeline_of

STORE_FAILURES = (GoogleAPIError, RequestException, HTTPError)
"""What Google's client raises where the store does not answer as it should. A connection that breaks within a body
raises urllib3's own error: the body is read past ``requests``."""
_ARCHIVES_AT_ONCE = 4
_BACKUPS_AT_ONCE = 8


def read_archives(place: BackupLocation, server_name: str | None = None) -> tuple[Archive, ...]:
    """As :func:`open_archives`, where nothing is read from them."""
    return tuple(opened.archive for opened in open_archives(place, server_name))


def open_archives(place: BackupLocation, server_name: str | None = None) -> tuple["OpenArchive", ...]:
    """The archives of every serverName below ``place``, by name, or of ``server_name`` alone.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing``, ``bucket-forbidden``, ``archive-empty`` when nothing
    lies below the path, and ``server-name-missing`` when ``server_name`` does not.
    """
    with failures_explained(place):
        names = sorted(list_server_names(place))
        if not names:
            raise AccessError(
                "archive-empty",
                f"there is nothing below {place.url}: no serverName, so no base backup and no WAL",
                "check backup.bucket and backup.path in Pulumi.<env>.yaml: gcloud storage ls gs://" + place.bucket,
            )
        if server_name is not None and server_name not in names:
            raise AccessError(
                "server-name-missing",
                f"there is no serverName {server_name} below {place.url}",
                f"give one of: {', '.join(names)}",
            )
        wanted = names if server_name is None else [server_name]
        with ThreadPoolExecutor(max_workers=_ARCHIVES_AT_ONCE) as pool:
            return tuple(pool.map(lambda name: _open(place, name), wanted))


def find_archive(place: BackupLocation, server_name: str) -> tuple[Archive | None, frozenset[str]]:
    """The archive of ``server_name``, None where there is none, and every serverName below ``place``.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or ``bucket-forbidden``.
    """
    opened, names = find_open(place, server_name)
    return opened.archive if opened else None, names


def find_open(place: BackupLocation, server_name: str) -> tuple["OpenArchive | None", frozenset[str]]:
    """As :func:`find_archive`, to be read from."""
    with failures_explained(place):
        names = frozenset(list_server_names(place))
        return (_open(place, server_name) if server_name in names else None), names


@dataclass(frozen=True, kw_only=True)
class OpenArchive:
    """An archive as it was listed, and the way to the contents of its WAL files: ``paths`` and ``sizes``, in bytes, are
    those of their objects.
    """

    place: BackupLocation
    archive: Archive
    paths: Mapping[str, str]
    sizes: Mapping[str, int]
    store: Any

    def content(self, name: str) -> bytes:
        """A WAL file, decompressed as barman does. Raises AccessError ``wal-codec-missing`` or ``wal-unreadable``, and
        those of the bucket.
        """
        with failures_explained(self.place), TemporaryDirectory(prefix="postgres-dr-") as folder:
            try:
                return _fetched(self.store, name, self.paths[name], Path(folder)).read_bytes()
            except STORE_FAILURES:
                raise
            except ImportError as error:
                raise AccessError(
                    "wal-codec-missing",
                    f"{self.paths[name]} is compressed, and what it is compressed with is not installed here: {error}",
                    "install what requirements.lock names",
                ) from error
            except Exception as error:
                raise AccessError(
                    "wal-unreadable",
                    f"{self.paths[name]} cannot be read: {error}",
                    "is the object whole? gcloud storage ls -l; give a time: --target-time",
                ) from error


def open_archive(place: BackupLocation, server_name: str) -> OpenArchive:
    """The archive of ``server_name``, to be read from. Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or
    ``bucket-forbidden``.
    """
    with failures_explained(place):
        return _open(place, server_name)


def _open(place: BackupLocation, server_name: str) -> OpenArchive:
    # Imported here: barman takes most of a second to import, and a wrong bucket should not have to wait for it.
    from barman.cloud import CloudBackupCatalog

    logging.getLogger("barman").setLevel(logging.ERROR)
    store, listed = _listing_store(place)
    catalogue = CloudBackupCatalog(store, server_name)
    with ThreadPoolExecutor(max_workers=1) as pool:
        listing = pool.submit(catalogue.get_wal_paths)
        found = list(_backups(catalogue))
        paths: dict[str, str] = listing.result()
    histories, unreadable = _histories(store, {name: path for name, path in paths.items() if is_history(name)})
    backups = sorted((one for one in found if isinstance(one, BaseBackup)), key=lambda backup: backup.end)
    segments = {name: path for name, path in paths.items() if is_segment(name)}
    sizes = {name: size for name, path in segments.items() if (size := listed[path].size) is not None}
    possible = {backup.segment_size for backup in backups}
    faults = ((name, fault_of_size(size, Path(paths[name]).suffix, possible)) for name, size in sizes.items())
    archive = Archive(
        server_name=server_name,
        backups=tuple(backups),
        incomplete=tuple(one for one in found if isinstance(one, IncompleteBackup)),
        files={name: listed[path].time_created for name, path in paths.items()},
        histories=histories,
        unreadable=unreadable,
        unknown=_unknown(f"{catalogue.wal_prefix}/", listed, set(paths.values())),
        damaged={name: why for name, why in faults if why},
    )
    return OpenArchive(place=place, archive=archive, paths=paths, sizes=sizes, store=store)


def _unknown(prefix: str, listed: Mapping[str, object], known: set[str]) -> tuple[str, ...]:
    """Objects that are named as WAL is, and are in a form that barman does not read: encrypted, or compressed by
    others.
    """
    names = (path.rsplit("/", 1)[-1] for path in listed if path.startswith(prefix) and path not in known)
    return tuple(sorted(name for name in names if re.fullmatch(r"[0-9A-F]{8}([0-9A-F]{16})?\..+", name)))


def _listing_store(place: BackupLocation) -> tuple[Any, dict[str, Any]]:
    """Barman's door to the bucket, and the objects that it has listed so far, with their times and sizes."""
    from barman.cloud_providers.google_cloud_storage import GoogleCloudInterface

    listed: dict[str, Any] = {}

    class Store(GoogleCloudInterface):  # type: ignore[misc]
        """Lists as barman's own, and notes what it lists."""

        def list_bucket(self, prefix: str = "", delimiter: str = "/") -> list[str]:
            listing = self.client.list_blobs(
                self.container_client,
                prefix=prefix,
                delimiter=delimiter,
                fields="items(name,size,timeCreated),prefixes,nextPageToken",
            )
            here = {blob.name: blob for blob in listing}
            listed.update(here)
            return [*here, *listing.prefixes]

    return Store(place.url), listed


def _backups(catalogue: Any) -> Iterator[BaseBackup | IncompleteBackup]:
    """Every folder of base backups. Barman's own list leaves out those that cannot be used, and reads one at a time."""
    listed = catalogue.cloud_interface.list_bucket(f"{catalogue.prefix}/")
    ids = sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in listed if name.endswith("/"))
    with ThreadPoolExecutor(max_workers=_BACKUPS_AT_ONCE) as pool:
        yield from pool.map(lambda backup_id: _backup(catalogue, backup_id), ids)


def _backup(catalogue: Any, backup_id: str) -> BaseBackup | IncompleteBackup:
    from barman.infofile import BackupInfo

    try:
        info = catalogue.get_backup_info(backup_id)
        if info is None:
            return IncompleteBackup(backup_id=backup_id, why="no backup.info: it runs still, or was broken off")
        if info.status == BackupInfo.DONE:
            backup = base_backup(info)
            timeline_of(backup.begin_wal), timeline_of(backup.end_wal)  # fail here unless these are segments
            return backup
    except STORE_FAILURES:
        raise
    except Exception as error:  # noqa: BLE001 - whatever barman makes of a damaged file, the others are still good
        return IncompleteBackup(backup_id=backup_id, why=f"backup.info cannot be read: {error}")
    why = f"{info.status}: {info.error}" if info.error else str(info.status)
    if info.status == BackupInfo.STARTED:
        why += ": it runs still, or was broken off"
    if info.begin_time and info.end_time:
        # barman-cloud's catalog.go asks for two times, not for the status.
        why += "; CloudNativePG takes it for complete all the same: name another with --backup-id"
    begin = info.begin_time.astimezone(UTC) if info.begin_time else None
    return IncompleteBackup(backup_id=backup_id, why=why, begin=begin)


def _histories(store: Any, paths: dict[str, str]) -> tuple[dict[int, tuple[Switch, ...]], dict[int, str]]:
    """The history files by their timeline, and those that could not be read, with why."""
    found: dict[int, tuple[Switch, ...]] = {}
    unreadable: dict[int, str] = {}
    with TemporaryDirectory(prefix="postgres-dr-") as folder:
        for name, path in paths.items():
            timeline = timeline_of(name)
            try:
                found[timeline] = tuple(_history(store, name, path, Path(folder)))
            except STORE_FAILURES:
                raise
            except Exception as error:  # noqa: BLE001 - as above; a compression may lack its library, too
                unreadable[timeline] = f"{name} cannot be read: {error}"
    return found, unreadable


def _history(store: Any, name: str, path: str, folder: Path) -> Iterator[Switch]:
    from barman.infofile import WalFileInfo
    from barman.xlog import decode_history_file

    info = WalFileInfo(name=name)
    info.orig_filename = str(_fetched(store, name, path, folder))
    for line in decode_history_file(info, comp_manager=None):
        yield Switch(parent=line.parent_tli, lsn=line.switchpoint, reason=line.reason)


def _fetched(store: Any, name: str, path: str, folder: Path) -> Path:
    """The WAL file ``name`` in ``folder``. Barman tells a compression by the name of the object.

    Raises ImportError where there is no library for it: barman would end the process.
    """
    from barman.cloud import ALLOWED_COMPRESSIONS

    local = folder / name
    try:
        store.download_file(path, str(local), ALLOWED_COMPRESSIONS.get(Path(path).suffix))
    except BaseException as error:
        if isinstance(error, (Exception, KeyboardInterrupt)):
            raise
        raise ImportError(str(error)) from error
    return local


_SECONDS = 10


def read_catalogue(place: BackupLocation, server_name: str) -> Catalogue:
    """The completed base backups of ``server_name``, oldest first, and the serverNames next to it.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or ``bucket-forbidden``.
    """
    with failures_explained(place):
        server_names = list_server_names(place)
        backups = _store_backups(place, server_name) if server_name in server_names else []
    return Catalogue(server_name=server_name, backups=tuple(backups), server_names=frozenset(server_names))


@contextmanager
def failures_explained(place: BackupLocation) -> Iterator[None]:
    """Turns a failure of the object store into AccessError ``bucket-unreachable``, ``bucket-missing``,
    ``bucket-forbidden``, ``google-credentials`` or ``archive-encrypted``.
    """
    try:
        yield
    except (*STORE_FAILURES, GoogleAuthError, OSError, JSONDecodeError) as error:
        raise _explained(place, error) from error


def _explained(place: BackupLocation, error: Exception) -> AccessError:
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
    if isinstance(error, GoogleAuthError) and not isinstance(error, TransportError):
        return AccessError(
            "google-credentials",
            f"the bucket {place.bucket} was not asked, as the login at Google fails: {_first_line(error)}",
            "log in (gcloud auth application-default login), or run where a Workload Identity gives credentials",
        )
    if isinstance(error, (Forbidden, Unauthorized)):
        return AccessError(
            "bucket-forbidden",
            f"the bucket {place.bucket} does not let this user in: {_first_line(error)}",
            "log in (gcloud auth application-default login); roles/storage.objectViewer on the bucket is enough",
        )
    odd = "no JSON is answered: " if isinstance(error, JSONDecodeError) else ""
    return AccessError(
        "bucket-unreachable",
        f"the bucket {place.bucket} cannot be reached: {odd}{_first_line(error)}",
        "check the network, and that the object store answers: gcloud storage ls gs://" + place.bucket,
    )


def list_server_names(place: BackupLocation) -> set[str]:
    """The folders right below the backup path. The first call to the bucket, so it gives up at once rather than
    retry.
    """
    listing = storage.Client().list_blobs(
        place.bucket, prefix=f"{place.path}/", delimiter="/", retry=None, timeout=_SECONDS
    )
    for _ in listing:  # the prefixes come with the pages
        pass
    return {prefix.rstrip("/").rsplit("/", 1)[-1] for prefix in listing.prefixes}


def stored_bytes(place: BackupLocation, server_name: str, backup_id: str) -> int:
    """How much a base backup takes up in the bucket, as it lies there, compressed or not. Raises AccessError."""
    with failures_explained(place):
        prefix = f"{place.path}/{server_name}/base/{backup_id}/"
        return sum(
            blob.size or 0 for blob in storage.Client().list_blobs(place.bucket, prefix=prefix, timeout=_SECONDS)
        )


def _store_backups(place: BackupLocation, server_name: str) -> list[BaseBackup]:
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
