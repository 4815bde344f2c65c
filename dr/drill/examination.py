"""What a drill asks of the recovered database beyond what a recovery does: is anything missing, is anything damaged?

Where the live server keeps the times of commits (``track_commit_timestamp``), this is more than a comparison of two
numbers: every live row that was written before the recovered moment has to be among the recovered ones. More than that
cannot be known, as a row that is gone by now leaves no trace.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import primary_of, psql_of
from dr.core.errors import AccessError
from dr.postgres.amcheck import check_database
from dr.postgres.psql import Psql
from dr.recovery.verify import VerificationResult
from dr.run.session import Session

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


_COUNT_SECONDS = 300
_AMCHECK_LIMIT = timedelta(hours=2).total_seconds()
_SIZE = "SELECT pg_database_size(current_database())"
_EXTENSIONS = "SELECT extname || ' ' || extversion FROM pg_extension ORDER BY 1"
_NOT_IN_IMAGE = (
    "SELECT extname FROM pg_extension WHERE extname NOT IN (SELECT name FROM pg_available_extensions) ORDER BY 1"
)
_CHECKSUMS = "SELECT current_setting('data_checksums'), coalesce(sum(checksum_failures), 0) FROM pg_stat_database"
_NO_MANIFEST = (
    "not possible: barman-cloud's base backups have no backup_manifest to verify by; the checksums and amcheck look at "
    "the same pages"
)


class Examination:
    """Of ``scratch``, against the ``live`` Cluster, which may be None: then nothing is compared.

    ``moment`` is up to when the scratch Cluster has everything (aware UTC).
    """

    def __init__(
        self,
        session: Session,
        *,
        scratch: ClusterSnapshot,
        live: ClusterSnapshot | None,
        database: str,
        moment: datetime,
        told: Callable[[str], None],
    ) -> None:
        self._session = session
        self._scratch = scratch
        self._live = live
        self._database = database
        self._moment = moment
        self._told = told

    def findings(self, *, quick: bool) -> list[VerificationResult]:
        """The answers to all questions; ``quick`` leaves out those that read all of the database."""
        found = [self._extensions(), self._rows()]
        if quick:
            return [*found, VerificationResult(name="amcheck", value="left out: --quick", passed=None)]
        return [*found, self._damage(), self._checksums(), _not_verified()]

    def size(self) -> int:
        """Of the recovered database, in bytes. Raises AccessError."""
        return int(self._psql(self._scratch).ask(_SIZE)[0])

    def _psql(self, cluster: ClusterSnapshot) -> Psql:
        return psql_of(self._session.api, cluster, self._database)

    def _extensions(self) -> VerificationResult:
        """An extension whose files the image lacks is there by name only."""
        psql = self._psql(self._scratch)
        there, lacking = psql.ask(_EXTENSIONS), psql.ask(_NOT_IN_IMAGE)
        if lacking:
            return VerificationResult(name="extensions", value=f"not in the image: {', '.join(lacking)}", passed=False)
        try:
            live = self._psql(self._live).ask(_EXTENSIONS) if self._live else None
        except AccessError:
            live = None
        if live is None or live == there:
            return VerificationResult(name="extensions", value=", ".join(there), passed=True if live else None)
        differing = ", ".join(sorted(set(live) ^ set(there)))
        return VerificationResult(
            name="extensions", value=f"differ from the live database's by {differing}", passed=None
        )

    def _rows(self) -> VerificationResult:
        self._told("counting rows")
        with ThreadPoolExecutor(max_workers=1) as pool:
            there = pool.submit(self._counted, self._live, before=self._moment) if self._live else None
            try:
                here, left_out = self._counted(self._scratch)
            except AccessError as error:
                # A table that cannot be read to its end is what a drill is for.
                return VerificationResult(
                    name="rows", value=error.cause, passed=False if error.code == "sql-failed" else None
                )
        if there is None:
            return VerificationResult(name="rows", value="not compared: there is no live database", passed=None)
        try:
            live, _ = there.result()
        except AccessError as error:
            return VerificationResult(name="rows", value=f"not compared: {error.cause}", passed=None)
        comparison = compare(here, live, left_out=left_out)
        return VerificationResult(name="rows", value=comparison.value, passed=comparison.passed)

    def _counted(self, cluster: ClusterSnapshot, before: datetime | None = None) -> tuple[dict[str, Counted], int]:
        psql, stop = self._psql(cluster), self._session.stop
        tables = [TableSeen.model_validate_json(line) for line in psql.ask(TABLES, stop=stop)]
        names = worth_counting(tables)
        if not names:
            return {}, len(tables)
        if before is not None and psql.ask(KEEPS_TIMES) != ["on"]:
            before = None
        limit = f"SET statement_timeout = '{_COUNT_SECONDS}s'"
        lines = psql.ask(limit, IN_THE_TABLE, ask_counts(names, before=before), limit=_COUNT_SECONDS + 10, stop=stop)
        return read_counts(lines), len(tables) - len(names)

    def _damage(self) -> VerificationResult:
        self._told("reading every page and index (amcheck)")
        try:
            checked = check_database(
                self._session.api,
                namespace=self._scratch.namespace,
                pod=primary_of(self._session.api, self._scratch),
                database=self._database,
                limit=_AMCHECK_LIMIT,
                stop=self._session.stop,
            )
        except AccessError as error:
            return VerificationResult(name="amcheck", value=f"not finished: {error.cause}", passed=None)
        return VerificationResult(name="amcheck", value=checked.said, passed=checked.whole)

    def _checksums(self) -> VerificationResult:
        """After everything was read: PostgreSQL counts the pages whose checksum was wrong."""
        try:
            on, failures = self._psql(self._scratch).ask(_CHECKSUMS)[0].split("|")
        except AccessError as error:
            # A server that died of a damaged page starts again.
            return VerificationResult(name="page checksums", value=f"not asked: {error.cause}", passed=None)
        if on != "on":
            return VerificationResult(name="page checksums", value="off in this database", passed=None)
        return VerificationResult(name="page checksums", value=f"on, {failures} failures", passed=failures == "0")


def _not_verified() -> VerificationResult:
    return VerificationResult(name="pg_verifybackup", value=_NO_MANIFEST, passed=None)
