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
from dataclasses import dataclass
from datetime import UTC
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dr.archive.contents import Archive, BaseBackup, Catalogue, IncompleteBackup, Switch
from dr.archive.store import MissingObjectError, Store, StoredObject, store_of
from dr.archive.wal_validity import fault_of_size
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from dr.core.wal_names import is_history, is_segment, position_of, timeline_of

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
    names = sorted(list_server_names(place))
    if not names:
        raise _empty(place)
    if server_name is not None and server_name not in names:
        raise AccessError(
            "server-name-missing",
            f"there is no serverName {server_name} below {place.url}",
            f"give one of: {', '.join(names)}",
        )
    wanted = names if server_name is None else [server_name]
    with ThreadPoolExecutor(max_workers=_ARCHIVES_AT_ONCE) as pool:
        opened = tuple(pool.map(lambda name: open_archive(place, name), wanted))
    if place.path or server_name is not None:
        return opened
    # Folders of others may lie at a bucket's root.
    if not (archives := tuple(one for one in opened if not one.archive.blank)):
        raise _empty(place)
    return archives


def _empty(place: BackupLocation) -> AccessError:
    return AccessError(
        "archive-empty",
        f"there is nothing below {place.url}: no serverName, so no base backup and no WAL",
        f"check backup.bucket and backup.path in Pulumi.<env>.yaml: {place.list_command}",
    )


def find_archive(place: BackupLocation, server_name: str) -> tuple[Archive | None, frozenset[str]]:
    """The archive of ``server_name``, None where there is none, and every serverName below ``place``.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or ``bucket-forbidden``.
    """
    opened, names = find_open(place, server_name)
    return opened.archive if opened else None, names


def find_open(place: BackupLocation, server_name: str) -> tuple["OpenArchive | None", frozenset[str]]:
    """As :func:`find_archive`, to be read from."""
    names = frozenset(list_server_names(place))
    return (open_archive(place, server_name) if server_name in names else None), names


@dataclass(frozen=True, kw_only=True)
class OpenArchive:
    """An archive as it was listed, and the way to the contents of its WAL files: ``paths`` and ``sizes``, in bytes, are
    those of their objects.
    """

    place: BackupLocation
    archive: Archive
    paths: Mapping[str, str]
    sizes: Mapping[str, int]
    store: Store

    def content(self, name: str) -> bytes:
        """A WAL file, decompressed as barman does. Raises AccessError ``wal-codec-missing`` or ``wal-unreadable``, and
        those of the bucket.
        """
        try:
            return _fetched(self.store, self.paths[name])
        except AccessError:
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
                f"is the object whole? {self.place.list_command}; give a time: --target-time",
            ) from error


def open_archive(place: BackupLocation, server_name: str) -> OpenArchive:
    """The archive of ``server_name``, to be read from. Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or
    ``bucket-forbidden``.
    """
    # Imported here: barman takes most of a second to import, and a wrong bucket should not have to wait for it.
    from barman.cloud import CloudBackupCatalog

    logging.getLogger("barman").setLevel(logging.ERROR)
    store = store_of(place)
    door = _BarmansDoor(place, store)
    catalogue = CloudBackupCatalog(door, server_name)
    with ThreadPoolExecutor(max_workers=1) as pool:
        listing = pool.submit(catalogue.get_wal_paths)
        found = list(_backups(catalogue))
        paths: dict[str, str] = listing.result()
    histories, unreadable = _histories(store, {name: path for name, path in paths.items() if is_history(name)})
    backups = sorted((one for one in found if isinstance(one, BaseBackup)), key=lambda backup: backup.end)
    segments = {name: path for name, path in paths.items() if is_segment(name)}
    sizes = {name: size for name, path in segments.items() if (size := door.listed[path].size) is not None}
    possible = {backup.segment_size for backup in backups}
    faults = ((name, fault_of_size(size, Path(paths[name]).suffix, possible)) for name, size in sizes.items())
    archive = Archive(
        server_name=server_name,
        backups=tuple(backups),
        incomplete=tuple(one for one in found if isinstance(one, IncompleteBackup)),
        files={name: door.listed[path].created for name, path in paths.items()},
        histories=histories,
        unreadable=unreadable,
        unknown=_unknown(f"{catalogue.wal_prefix}/", door.listed, set(paths.values())),
        damaged={name: why for name, why in faults if why},
    )
    return OpenArchive(place=place, archive=archive, paths=paths, sizes=sizes, store=store)


def _unknown(prefix: str, listed: Mapping[str, object], known: set[str]) -> tuple[str, ...]:
    """Objects that are named as WAL is, and are in a form that barman does not read: encrypted, or compressed by
    others.
    """
    names = (path.rsplit("/", 1)[-1] for path in listed if path.startswith(prefix) and path not in known)
    return tuple(sorted(name for name in names if re.fullmatch(r"[0-9A-F]{8}([0-9A-F]{16})?\..+", name)))


class _BarmansDoor:
    """What barman's catalogue asks of a bucket (``CloudInterface``), from ``store``. ``listed`` are the objects that it
    has listed so far, with their times and sizes.
    """

    def __init__(self, place: BackupLocation, store: Store) -> None:
        self.path = place.path
        self.listed: dict[str, StoredObject] = {}
        self._store = store

    def list_bucket(self, prefix: str = "", delimiter: str = "/") -> list[str]:
        listing = self._store.list_objects(prefix, delimiter=delimiter, patient=True)
        here = {one.name: one for one in listing.objects}
        self.listed.update(here)
        return [*here, *listing.folders]

    def remote_open(self, key: str) -> BytesIO | None:
        try:
            return BytesIO(self._store.read(key, patient=True))
        except MissingObjectError:
            return None


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
    except AccessError:
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


def _histories(store: Store, paths: dict[str, str]) -> tuple[dict[int, tuple[Switch, ...]], dict[int, str]]:
    """The history files by their timeline, and those that could not be read, with why."""
    found: dict[int, tuple[Switch, ...]] = {}
    unreadable: dict[int, str] = {}
    for name, path in paths.items():
        timeline = timeline_of(name)
        try:
            found[timeline] = tuple(_history(store, name, path))
        except AccessError:
            raise
        except Exception as error:  # noqa: BLE001 - as above; a compression may lack its library, too
            unreadable[timeline] = f"{name} cannot be read: {error}"
    return found, unreadable


def _history(store: Store, name: str, path: str) -> Iterator[Switch]:
    from barman.infofile import WalFileInfo
    from barman.xlog import decode_history_file

    with TemporaryDirectory(prefix="postgres-dr-") as folder:
        local = Path(folder) / name
        local.write_bytes(_fetched(store, path))
        info = WalFileInfo(name=name)
        info.orig_filename = str(local)
        for line in decode_history_file(info, comp_manager=None):
            yield Switch(parent=line.parent_tli, lsn=line.switchpoint, reason=line.reason)


def _fetched(store: Store, path: str) -> bytes:
    """The WAL file at ``path``, decompressed. Barman tells a compression by the name of the object.

    Raises ImportError where there is no library for it: barman would end the process.
    """
    from barman.clients.cloud_compression import decompress_to_file
    from barman.cloud import ALLOWED_COMPRESSIONS

    content, compression = store.read(path, patient=True), ALLOWED_COMPRESSIONS.get(Path(path).suffix)
    if compression is None:
        return content
    whole = BytesIO()
    try:
        decompress_to_file(BytesIO(content), whole, compression)
    except BaseException as error:
        if isinstance(error, (Exception, KeyboardInterrupt)):
            raise
        raise ImportError(str(error)) from error
    return whole.getvalue()


def read_catalogue(place: BackupLocation, server_name: str) -> Catalogue:
    """The completed base backups of ``server_name``, oldest first, and the serverNames next to it.

    Raises AccessError ``bucket-unreachable``, ``bucket-missing`` or ``bucket-forbidden``.
    """
    server_names = list_server_names(place)
    backups = _store_backups(place, server_name) if server_name in server_names else []
    return Catalogue(server_name=server_name, backups=tuple(backups), server_names=frozenset(server_names))


def list_server_names(place: BackupLocation) -> set[str]:
    """The folders right below the backup path. The first call to the bucket, so it gives up at once rather than
    retry. Raises AccessError.
    """
    folders = store_of(place).list_objects(place.prefix, delimiter="/").folders
    return {folder.rstrip("/").rsplit("/", 1)[-1] for folder in folders}


def stored_bytes(place: BackupLocation, server_name: str, backup_id: str) -> int:
    """How much a base backup takes up in the bucket, as it lies there, compressed or not. Raises AccessError."""
    prefix = f"{place.prefix}{server_name}/base/{backup_id}/"
    return sum(one.size or 0 for one in store_of(place).list_objects(prefix, patient=True).objects)


def _store_backups(place: BackupLocation, server_name: str) -> list[BaseBackup]:
    # Imported here: barman takes most of a second to import, and a wrong bucket should not have to wait for it.
    from barman.cloud import CloudBackupCatalog

    logging.getLogger("barman").setLevel(logging.ERROR)
    catalogue = CloudBackupCatalog(_BarmansDoor(place, store_of(place)), server_name)
    found = (one for one in _backups(catalogue) if isinstance(one, BaseBackup))
    return sorted(found, key=lambda backup: backup.end)


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
