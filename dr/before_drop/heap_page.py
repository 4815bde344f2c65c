"""PostgreSQL's own lists of tables, read from the pages of their files: rows that SQL does not show any more are still
there.

The layout is PostgreSQL's (manual, "Database Page Layout"; ``htup_details.h``), the same from version 12 to 18.

Only the leading columns are read, which have a fixed width and stand in the same place in every version since 12
(``pg_class.h``, ``pg_namespace.h``).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dr.archive.wal_lines import Place

_PAGE = struct.Struct("<IIHHHHHHI")
_ROW = struct.Struct("<IIIHHHHHB")
_LAYOUT_VERSION = 4
_NORMAL = 1

_XMAX_LOCK_ONLY = 0x0080
_XMAX_COMMITTED = 0x0400
_XMAX_INVALID = 0x0800
_XMAX_IS_MULTI = 0x1000


@dataclass(frozen=True, kw_only=True)
class HeapRow:
    """One version of a row. ``place`` is where it stands, ``next_place`` where its next version does (the same when
    there is none). ``ended_by`` is the transaction that deleted or replaced it, 0 for none; ``ended`` is whether that
    committed, None where the page does not know. ``page_lsn`` is where the WAL starts that is not in this page yet.
    """

    place: Place
    next_place: Place
    made_by: int
    ended_by: int
    ended: bool | None
    page_lsn: int
    data: bytes


def rows_of_page(page: bytes, number: int) -> Iterator[HeapRow]:
    """The rows that page ``number`` holds, in the order of their line pointers; none for what is not a heap page."""
    if len(page) < _PAGE.size:
        return
    high, low, _, _, lower, upper, special, version, _ = _PAGE.unpack_from(page)
    if version != len(page) | _LAYOUT_VERSION or not _PAGE.size <= lower <= upper <= special <= len(page):
        return
    for index in range((lower - _PAGE.size) // 4):
        (pointer,) = struct.unpack_from("<I", page, _PAGE.size + 4 * index)
        offset, flags, length = pointer & 0x7FFF, pointer >> 15 & 3, pointer >> 17
        if flags == _NORMAL and length >= _ROW.size and offset + length <= len(page):
            yield _row(page[offset : offset + length], (number, index + 1), high << 32 | low)


def _row(row: bytes, place: Place, page_lsn: int) -> HeapRow:
    xmin, xmax, _, block_high, block_low, pointer, _, flags, begin = _ROW.unpack_from(row)
    # A lock, or several lockers together, end nothing; who deletes a row that others have locked is not in the page.
    ends = bool(xmax) and not flags & (_XMAX_INVALID | _XMAX_LOCK_ONLY | _XMAX_IS_MULTI)
    return HeapRow(
        place=place,
        next_place=(block_high << 16 | block_low, pointer),
        made_by=xmin,
        ended_by=xmax if ends else 0,
        ended=(True if flags & _XMAX_COMMITTED else None) if ends else False,
        page_lsn=page_lsn,
        data=row[begin:],
    )


_NAME = struct.Struct("<I64s")
_CLASS = struct.Struct("<I64sIIIIII")


@dataclass(frozen=True, kw_only=True)
class CatalogRow:
    """A row of ``pg_class`` or ``pg_namespace``. ``namespace`` and ``filenode`` are 0 in the latter; ``filenode`` is 0
    too for what has no file, such as a view.
    """

    row: HeapRow
    oid: int
    name: str
    namespace: int = 0
    filenode: int = 0


def namespaces(pages: Mapping[int, bytes]) -> Iterator[CatalogRow]:
    """The rows of ``pg_namespace`` in its ``pages``, by their numbers."""
    for row in _rows(pages):
        if len(row.data) >= _NAME.size:
            oid, name = _NAME.unpack_from(row.data)
            yield CatalogRow(row=row, oid=oid, name=_text(name))


def classes(pages: Mapping[int, bytes]) -> Iterator[CatalogRow]:
    """The rows of ``pg_class`` in its ``pages``, by their numbers."""
    for row in _rows(pages):
        if len(row.data) >= _CLASS.size:
            oid, name, namespace, _, _, _, _, filenode = _CLASS.unpack_from(row.data)
            yield CatalogRow(row=row, oid=oid, name=_text(name), namespace=namespace, filenode=filenode)


def _rows(pages: Mapping[int, bytes]) -> Iterator[HeapRow]:
    for number, page in pages.items():
        yield from rows_of_page(page, number)


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(errors="replace")
