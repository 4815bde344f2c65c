"""Reading a page of a table's file: the rows that SQL does not show any more are still in it, until a vacuum.

The layout is PostgreSQL's (manual, "Database Page Layout"; ``htup_details.h``), the same from version 12 to 18.
"""

import struct
from collections.abc import Iterator
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
    committed, None where the page does not know. ``page_lsn`` is where the WAL goes on that is not in this page yet.
    """

    place: Place
    next_place: Place
    made_by: int
    ended_by: int
    ended: bool | None
    page_lsn: int
    data: bytes


def rows_of_page(page: bytes, number: int) -> Iterator[HeapRow]:
    """The rows that page ``number`` holds, in the order of their line pointers; none for what is no heap page."""
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
