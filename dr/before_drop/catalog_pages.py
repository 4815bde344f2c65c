"""The catalog's own pages, read by SQL from its files: they still have the rows that SQL does not show any more.

They are read twice, before a checkpoint and after it. Before it, the file may still have what was pruned from memory
since; after it, the file has all that is in memory. Looking a table up by name can itself prune its row, so the pages
come first and the names later.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from dr.before_drop.drops import CatalogView, Ending
from dr.before_drop.heap_page import CatalogRow, classes, namespaces
from dr.postgres.psql import Psql
from dr.postgres.sql import literal
from dr.postgres.table_name import TableName

_CHECKPOINT_SECONDS = 60

_PAGES = """SELECT '{catalog}', number, encode(page, 'hex') FROM
  generate_series(0, pg_relation_size('{catalog}') / current_setting('block_size')::int - 1) AS number,
  LATERAL (SELECT pg_read_binary_file(pg_relation_filepath('{catalog}'),
    number * current_setting('block_size')::int, current_setting('block_size')::int)) AS read (page)
  WHERE position('\\x{wanted}'::bytea IN page) > 0"""
_PLACE = """SELECT 'place', oid, dattablespace, pg_relation_filenode('pg_class'),
  pg_walfile_name(pg_current_wal_lsn()) FROM pg_database WHERE datname = current_database()"""
_NOW = """SELECT 'now', coalesce((SELECT oid FROM pg_namespace WHERE nspname = {schema}), 0),
  to_regclass({table}) IS NOT NULL"""
_NAMES = """SELECT oid, oid::regclass FROM pg_class WHERE oid IN ({oids})"""
_STATUS = """SELECT xid, coalesce(pg_xact_status((newest - (newest - xid) % 4294967296)::text::xid8), 'committed')
  FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric) AS snapshot (newest),
  unnest(ARRAY[{xids}]::numeric[]) AS xid"""


@dataclass(frozen=True, kw_only=True)
class CatalogPlace:
    """Where the catalog is: the database's OID, the relation of ``pg_class`` as WAL records name it, and the segment
    that is being written.
    """

    database: int
    relation: str
    segment: str


def read_catalog(psql: Psql, table: TableName) -> tuple[CatalogPlace, CatalogView]:
    """What is known of ``table`` in the database that ``psql`` speaks to. Asks for a checkpoint; changes nothing.

    Raises AccessError.
    """
    pages = [
        _PAGES.format(catalog=catalog, wanted=name.encode().hex() + "00")
        for catalog, name in (("pg_class", table.table), ("pg_namespace", table.schema))
    ]
    now = _NOW.format(schema=literal(table.schema), table=literal(table.sql))
    answer = psql.ask(*pages, "CHECKPOINT", *pages, _PLACE, now, limit=_CHECKPOINT_SECONDS)
    rows = [line.split("|") for line in answer]
    (place,) = (row for row in rows if row[0] == "place")
    (seen,) = (row for row in rows if row[0] == "now")
    schemas = [row.oid for row in _read(rows, "pg_namespace") if row.name == table.schema]
    return (
        CatalogPlace(database=int(place[1]), relation=f"{place[2]}/{place[1]}/{place[3]}", segment=place[4]),
        CatalogView(
            rows=tuple(row for row in _read(rows, "pg_class") if row.name == table.table),
            schemas=frozenset({int(seen[1]), *schemas} - {0}),
            exists=seen[2] == "t",
        ),
    )


def _read(rows: list[list[str]], catalog: str) -> Iterator[CatalogRow]:
    """The rows in the pages of ``catalog``, of both times that it was read."""
    read = classes if catalog == "pg_class" else namespaces
    for row in rows:
        if row[0] == catalog:
            yield from read({int(row[1]): bytes.fromhex(row[2])})


def name_at_end(psql: Psql, table: TableName, catalog: CatalogView, ending: Ending) -> TableName | None:
    """What ``table`` was called when it was dropped, in which schema; None where its last row is in no page any more.
    Raises AccessError.
    """
    rows = [row for row in catalog.rows if _ended(row, ending)]
    rows = rows or [row for row in _pages_with(psql, "pg_class", ending.oid) if _ended(row, ending)]
    if not rows:
        return None
    if rows[0].namespace in catalog.schemas:
        return TableName(table.schema, rows[0].name)
    schemas = {row.name for row in _pages_with(psql, "pg_namespace", rows[0].namespace)}
    return TableName(schemas.pop(), rows[0].name) if len(schemas) == 1 else None


def _ended(row: CatalogRow, ending: Ending) -> bool:
    return row.oid == ending.oid and row.row.ended_by == ending.xid and row.row.next_place == row.row.place


def _pages_with(psql: Psql, catalog: str, oid: int) -> Iterator[CatalogRow]:
    """The rows of ``oid``, of whatever name, live or not."""
    wanted = oid.to_bytes(4, "little").hex()
    lines = psql.ask(_PAGES.format(catalog=catalog, wanted=wanted), limit=_CHECKPOINT_SECONDS)
    yield from (row for row in _read([line.split("|") for line in lines], catalog) if row.oid == oid)


def names_now(psql: Psql, oids: Collection[int]) -> Mapping[int, str]:
    """The names that tables have now, by their OIDs; those that are gone are left out. Raises AccessError."""
    if not oids:
        return {}
    answer = psql.ask(_NAMES.format(oids=", ".join(map(str, sorted(oids)))))
    return {int(oid): name for oid, _, name in (line.partition("|") for line in answer)}


def committed(psql: Psql, xids: Collection[int]) -> Mapping[int, bool]:
    """Whether transactions committed, by PostgreSQL's own account; one that it has forgotten is taken to have. Raises
    AccessError.
    """
    if not xids:
        return {}
    answer = psql.ask(_STATUS.format(xids=", ".join(map(str, sorted(xids)))))
    return {int(xid): status == "committed" for xid, _, status in (line.partition("|") for line in answer)}
