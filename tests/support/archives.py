"""Archives as the tests need them: as values, and as objects of a bucket as barman-cloud writes them."""

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache

import lz4.frame
import snappy
import zstandard

from dr.archive.contents import Archive, BaseBackup, IncompleteBackup, Switch
from dr.core.wal_names import lsn, name_of, number_of, timeline_of
from tests.support.doubles import ObjectStoreDouble

SEGMENT = 16 * 2**20
SYSTEM = "7575757575757575757"
"""The system identifier of the database that is archived."""
BEGIN = datetime(2026, 4, 20, 0, 0, tzinfo=UTC)


PACK: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": lambda content: gzip.compress(content, 1),
    ".bz2": bz2.compress,
    ".xz": lambda content: lzma.compress(content, preset=0),
    ".zst": zstandard.compress,
    ".lz4": lz4.frame.compress,
    ".snappy": lambda content: bytes(snappy.StreamCompressor().add_chunk(content)),
}
"""How barman compresses WAL, by the suffix that it gives it."""


@cache
def _compressed(name: str, suffix: str) -> bytes:
    """A segment with nothing in it."""
    return PACK[suffix](first_page(name).ljust(SEGMENT, b"\0"))


def at(minutes: float) -> datetime:
    """A moment in the life of an archive: a segment is archived every ten minutes, number n at ``at(10 * n)``."""
    return BEGIN + timedelta(minutes=minutes)


def wal(numbers: Iterable[int], *, timeline: int = 1, size: int = SEGMENT) -> dict[str, datetime | None]:
    """Archived segments by their numbers."""
    return {name_of(timeline, number, size): at(10 * number) for number in numbers}


def backup(number: int, *, timeline: int = 1, segments: int = 1, size: int = SEGMENT, suffix: str = "") -> BaseBackup:
    """A base backup whose WAL is the segments from ``number`` on; it ended as the last of them was archived."""
    last = number + segments - 1
    return BaseBackup(
        backup_id=f"backup-{number}{suffix}",
        begin=at(10 * number - 5),
        end=at(10 * last),
        timeline=timeline,
        begin_wal=name_of(timeline, number, size),
        end_wal=name_of(timeline, last, size),
        begin_lsn=number * size + 0x28,
        end_lsn=last * size + 0x138,
        size=64 * 2**20,
        segment_size=size,
        major=17,
        system_id=SYSTEM,
    )


def switch(parent: int, number: float, *, size: int = SEGMENT) -> Switch:
    """The leaving of ``parent`` within the segment that ``number`` is in: 5.5 is the middle of segment 5."""
    return Switch(parent=parent, lsn=int(number * size), reason="no recovery target specified")


def archive(
    *backups: BaseBackup,
    files: Mapping[str, datetime | None],
    histories: Mapping[int, tuple[Switch, ...]] | None = None,
    unreadable: Mapping[int, str] | None = None,
    incomplete: tuple[IncompleteBackup, ...] = (),
    damaged: Mapping[str, str] | None = None,
    read: Mapping[str, str] | None = None,
) -> Archive:
    """The archive ``postgres-prod``, of which all WAL was looked into unless ``read`` says otherwise."""
    return Archive(
        server_name="postgres-prod",
        backups=tuple(sorted(backups, key=lambda one: one.end)),
        incomplete=incomplete,
        files=files,
        histories=histories or {},
        unreadable=unreadable or {},
        damaged=damaged or {},
        read=dict.fromkeys(files, SYSTEM) if read is None else read,
    )


def first_page(name: str, **changes: int) -> bytes:
    """The header that PostgreSQL 17 begins the segment ``name`` with (``XLogLongPageHeaderData``, xlog_internal.h);
    ``changes`` are fields of it.
    """
    fields = {
        "magic": 0xD116,
        "info": 0x0002,
        "tli": timeline_of(name),
        "pageaddr": number_of(name, SEGMENT) * SEGMENT,
        "rem_len": 0,
        "sysid": int(SYSTEM),
        "seg_size": SEGMENT,
        "blcksz": 8192,
        **changes,
    }
    return struct.pack("<HHIQI4xQII", *fields.values())


def path_of(server: str, name: str, suffix: str = "") -> str:
    """Where barman-cloud puts a WAL file below ``prod/``."""
    return f"prod/{server}/wals/{name[:16]}/{name}{suffix}" if len(name) > 16 else f"prod/{server}/wals/{name}"


def put_wal(store: ObjectStoreDouble, server: str, files: Mapping[str, datetime | None], *, suffix: str = "") -> None:
    """Put WAL files below ``prod/``, with the times of their objects. Of segments there is the beginning only, with the
    size of all of it; compressed ones (``suffix``) are whole.
    """
    for name, time in files.items():
        path = path_of(server, name, suffix)
        store.objects[path] = _compressed(name, suffix) if suffix else first_page(name)
        if not suffix:
            store.sizes[path] = SEGMENT
        if time:
            store.times[path] = time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def put_backup(store: ObjectStoreDouble, server: str, made: BaseBackup, **changes: str | None) -> None:
    """Put a base backup below ``prod/``. ``changes`` are lines of its backup.info; None leaves one out."""
    lines: dict[str, str | None] = {
        "backup_label": "None",
        "begin_time": str(made.begin),
        "begin_wal": made.begin_wal,
        "begin_xlog": lsn(made.begin_lsn),
        "end_time": str(made.end),
        "end_wal": made.end_wal,
        "end_xlog": lsn(made.end_lsn),
        "error": "None",
        "size": str(made.size),
        "status": "DONE",
        "systemid": made.system_id,
        "timeline": str(made.timeline),
        "version": "170006",
        "xlog_segment_size": str(made.segment_size),
        **changes,
    }
    text = "".join(f"{key}={value}\n" for key, value in lines.items() if value is not None)
    folder = f"prod/{server}/base/{made.backup_id}"
    store.objects[f"{folder}/backup.info"] = text.encode()
    store.objects[f"{folder}/data.tar"] = b"tar"


def put_history(
    store: ObjectStoreDouble, server: str, timeline: int, switches: Iterable[Switch], *, compressed: bool = False
) -> None:
    """Put a timeline's history file below ``prod/``, as PostgreSQL writes it."""
    text = "".join(f"{one.parent}\t{lsn(one.lsn)}\t{one.reason}\n\n" for one in switches).encode()
    path = f"prod/{server}/wals/{timeline:08X}.history"
    if compressed:
        store.objects[f"{path}.gz"] = gzip.compress(text)
    else:
        store.objects[path] = text
