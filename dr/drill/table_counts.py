"""Rows in the recovered database against those in the live one, which has gone on since.

Where the live server keeps the times of commits (``track_commit_timestamp``), this is more than a comparison of two
numbers: every live row that was written before the recovered moment has to be among the recovered ones. More than that
cannot be known, as a row that is gone by now leaves no trace.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

COUNTED_BYTES = 2 * 2**30
"""Up to this size, in bytes, tables are counted, the smallest first: to count is to read all of it."""

_MOST = 500
_DOUBT = timedelta(seconds=5)
"""Two commits side by side may come into the WAL in another order than their times."""

TABLES = """SELECT json_build_object('name', format('%I.%I', n.nspname, c.relname),
  'size', pg_table_size(c.oid))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY pg_table_size(c.oid), n.nspname, c.relname"""
"""All tables with rows of the application's own, each as a line of JSON; those of extensions are not."""

_OLDEST = """WITH oldest AS (
  SELECT min(pg_xact_commit_timestamp((first + n)::text::xid)) AS at
  FROM (SELECT oldest_commit_ts_xid::text::bigint AS first FROM pg_control_checkpoint()) AS known,
    generate_series(0, 999) AS n
  WHERE first > 0 AND first + n < 4294967296) """
"""The earliest time that is kept, as good as: not every transaction that began has committed."""

IN_THE_TABLE = "SET enable_indexonlyscan = off"
"""An index tells how many rows there should be, and not how many there are."""

KEEPS_TIMES = "SELECT current_setting('track_commit_timestamp')"


class TableSeen(BaseModel):
    """A table and its size in bytes. ``name`` is as SQL has it."""

    model_config = ConfigDict(frozen=True)

    name: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Counted:
    """The rows of a table. ``old`` are those that were committed before the recovered moment, None where unknown."""

    rows: int
    old: int | None = None


def worth_counting(tables: Sequence[TableSeen]) -> tuple[str, ...]:
    """The names of the tables to count, within the limit of what is read."""
    found: list[str] = []
    left = COUNTED_BYTES
    for table in sorted(tables, key=lambda table: table.size):
        left -= table.size
        if left < 0 or len(found) == _MOST:
            break
        found.append(table.name)
    return tuple(found)


def ask_counts(names: Sequence[str], *, before: datetime | None) -> str:
    """One statement for all of them, in one snapshot: each a line ``name|rows|old``. ``before`` asks for the old rows
    too.

    Commits of before times were kept have none. They are old if the earliest that is kept is: the setting takes effect
    with a start of the server, and by then they were over.
    """
    old = "''"
    if before is not None:
        moment = f"'{(before - _DOUBT).isoformat()}'::timestamptz"
        known = f"pg_xact_commit_timestamp(xmin) < {moment}"
        unknown = f"pg_xact_commit_timestamp(xmin) IS NULL AND (SELECT at FROM oldest) < {moment}"
        old = f"count(*) FILTER (WHERE {known} OR ({unknown}))::text"
    parts = (f"SELECT {_text(name)}, count(*)::text, {old} FROM ONLY {name}" for name in names)
    return (_OLDEST if before is not None else "") + " UNION ALL ".join(parts)


def read_counts(lines: Sequence[str]) -> dict[str, Counted]:
    """The answer to :func:`ask_counts`. A table's name may have any character in it."""
    found = {}
    for line in lines:
        name, rows, old = line.rsplit("|", 2)
        found[name] = Counted(rows=int(rows), old=int(old) if old else None)
    return found


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of it, for people. ``missing`` are tables that lack rows which they have to have, each with how many;
    ``passed`` is None where nothing could be judged by.
    """

    value: str
    missing: tuple[str, ...]
    passed: bool | None


def compare(recovered: Mapping[str, Counted], live: Mapping[str, Counted], *, left_out: int) -> Comparison:
    """The recovered tables against the live ones; ``left_out`` are those that were too large to be counted."""
    missing = tuple(_missing(recovered, live))
    both = recovered.keys() & live.keys()
    same = sum(recovered[name].rows == live[name].rows for name in both)
    judged = [name for name in both if live[name].old is not None or recovered[name].rows == live[name].rows]
    rows = sum(counted.rows for counted in recovered.values())
    told = [f"{rows:,} rows in {len(recovered):,} tables", f"{same:,} of them as in the live database"]
    changed = len(both) - same
    if changed and not missing:
        explained = (
            "with every row that is older than the recovered moment" if len(judged) == len(both) else "not judged"
        )
        told.append(f"{changed:,} changed since, {explained}")
    if only := len(live.keys() - recovered.keys()):
        told.append(f"{only:,} only in the live one")
    if left_out:
        told.append(f"{left_out:,} too large to be counted")
    if missing:
        told.append("missing: " + "; ".join(missing))
    passed = False if missing else True if len(judged) == len(both) and both else None
    return Comparison(value=", ".join(told), missing=missing, passed=passed)


def _missing(recovered: Mapping[str, Counted], live: Mapping[str, Counted]) -> Iterator[str]:
    for name, seen in sorted(live.items()):
        if not seen.old:
            continue
        have = recovered[name].rows if name in recovered else 0
        if have < seen.old:
            yield f"{name} has {have:,} rows, and {seen.old:,} of the live ones are older than the recovered moment"


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
