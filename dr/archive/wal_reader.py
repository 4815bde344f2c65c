"""Looking into archived WAL: first pages, read from the bucket, of the segments that a recovery will replay."""

import bz2
import lzma
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path

from dr.archive.contents import Archive, BaseBackup, Catalogue
from dr.archive.reader import OpenArchive, find_open
from dr.archive.store import MissingObjectError, unreachable
from dr.archive.wal_validity import HEADER_BYTES, FirstPage, fault_of_end, in_order, needed, sample, with_pages
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError, Problem
from dr.core.target import RecoveryTarget

_AT_ONCE = 10
"""As many connections as the Google client's pool keeps."""
_COMPRESSED_BYTES = 2**18
"""How much of a compressed segment is read: more than the largest block of each codec's usual setting."""
_BZIP2_BYTES = 2**20
"""bzip2 gives nothing before the end of a block, of up to 900 kB."""


def look_into(opened: OpenArchive, names: Sequence[str], *, seconds: float) -> Archive:
    """The archive with what the first pages of the segments ``names`` say, as far as they could be read within
    ``seconds``, in this order.
    """
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="first-page")
    asked = {name: pool.submit(_look, opened, name) for name in names if name not in opened.archive.damaged}
    wait(asked.values(), timeout=seconds)
    pool.shutdown(wait=False, cancel_futures=True)
    done = {name: one.result() for name, one in asked.items() if one.done() and not one.cancelled()}
    return with_pages(opened.archive, done)


def _look(opened: OpenArchive, name: str) -> FirstPage | str | Problem | None:
    """The first page, why it is unreadable, or why it could not be asked for."""
    suffix = Path(opened.paths[name]).suffix
    size = opened.sizes.get(name, 0)
    try:
        return _page(opened, name, suffix, size)
    except AccessError as error:
        return Problem(code=error.code, cause=error.cause, remedy=error.remedy)
    except ImportError as error:
        return Problem(
            code="wal-codec-missing",
            cause=f"what {name}{suffix} is compressed with is not installed here: {error}",
            remedy="install what requirements.lock names",
        )


def _page(opened: OpenArchive, name: str, suffix: str, size: int) -> FirstPage | str | Problem | None:
    def part(first: int, count: int) -> bytes:
        content = opened.store.part(opened.paths[name], first, count)
        if len(content) < (due := min(count, size - first)):
            # An answer that ends early says nothing about the object: its size is known from the listing.
            raise unreachable(opened.place, f"the answer has {len(content):,} of {due:,} bytes")
        return content

    try:
        if not suffix:
            return FirstPage.parse(part(0, HEADER_BYTES))
        wanted = min(size, _BZIP2_BYTES if suffix == ".bz2" else _COMPRESSED_BYTES)
        packed = part(0, wanted)
        if fault := fault_of_end(suffix, part(size - 4, 4), opened.archive.segment_size):
            return fault
    except MissingObjectError:
        return "its object was deleted after it was listed"
    try:
        content = _DECODERS[suffix](packed)
    except ImportError:
        raise
    except Exception as error:  # noqa: BLE001 - each codec's module has errors of its own
        return f"it cannot be decompressed ({suffix}): {error}"
    if len(content) < HEADER_BYTES and wanted < size:
        return Problem(
            code="wal-unreadable",
            cause=f"the beginning of {name}{suffix} cannot be decompressed without the rest",
            remedy="",
        )
    return FirstPage.parse(content)


def _zstd(packed: bytes) -> bytes:
    import zstandard

    return bytes(zstandard.ZstdDecompressor().stream_reader(BytesIO(packed)).read(HEADER_BYTES))


def _lz4(packed: bytes) -> bytes:
    import lz4.frame

    return bytes(lz4.frame.LZ4FrameDecompressor().decompress(packed, max_length=HEADER_BYTES))


def _snappy(packed: bytes) -> bytes:
    import snappy

    return bytes(snappy.StreamDecompressor().decompress(packed))


_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": lambda packed: zlib.decompressobj(wbits=31).decompress(packed, HEADER_BYTES),
    ".bz2": lambda packed: bz2.BZ2Decompressor().decompress(packed, HEADER_BYTES),
    ".xz": lambda packed: lzma.LZMADecompressor().decompress(packed, HEADER_BYTES),
    ".zst": _zstd,
    ".lz4": _lz4,
    ".snappy": _snappy,
}
"""The beginning of a compressed file, by the suffix that barman gives it (``barman.cloud.ALLOWED_COMPRESSIONS``)."""


_SEGMENTS = 500
_ARCHIVE_SEEN_SECONDS = 10.0
"""For all of them: an answer of Cloud Storage takes some 50 ms, so this is more than they usually need."""
_SAMPLE = 40
_SAMPLE_SECONDS = 3.0


def archive_for(
    place: BackupLocation, server_name: str, target: RecoveryTarget | None
) -> tuple[Archive | None, Catalogue]:
    """The archive of ``server_name``, None where there is none, with what the first pages of the WAL say that a
    recovery to ``target`` needs; and its base backups. Raises AccessError as :func:`find_open`.
    """
    opened, server_names = find_open(place, server_name)
    backups = opened.archive.backups if opened else ()
    catalogue = Catalogue(server_name=server_name, backups=backups, server_names=server_names)
    base = catalogue.base_for(target)
    if opened is None or base is None:
        return opened.archive if opened else None, catalogue
    return looked_into(opened, base, target), catalogue


def looked_into(opened: OpenArchive, base: BaseBackup, target: RecoveryTarget | None) -> Archive:
    """The archive with what the first pages of the WAL say that a recovery from ``base`` to ``target`` needs."""
    names = in_order(opened.archive, needed(opened.archive, base, target), base)
    return look_into(opened, names[:_SEGMENTS], seconds=_ARCHIVE_SEEN_SECONDS)


def sampled(opened: OpenArchive) -> Archive:
    """The archive with what the first pages of some of its WAL say, its end among it: no two days the same."""
    return look_into(opened, sample(opened.archive, _SAMPLE, random.sample), seconds=_SAMPLE_SECONDS)
