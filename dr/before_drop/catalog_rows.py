"""PostgreSQL's own lists of tables and schemas, as their rows lie in the file.

Only the leading columns are read, which have a fixed width and stand in the same place in every version since 12
(``pg_class.h``, ``pg_namespace.h``).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dr.before_drop.heap_page import HeapRow, rows_of_page

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
