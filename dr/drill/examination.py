"""What a drill asks of the recovered database beyond what a recovery does: is anything missing, is anything damaged?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.drill.table_counts import (
    IN_THE_TABLE,
    KEEPS_TIMES,
    TABLES,
    Counted,
    TableSeen,
    ask_counts,
    compare,
    read_counts,
    worth_counting,
)
from dr.postgres.amcheck import check_database
from dr.postgres.psql import Psql
from dr.recovery.verify import Finding
from dr.run.session import Session

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
    """Of ``scratch``, beside the ``live`` Cluster, which may be None: then nothing is compared.

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

    def findings(self, *, quick: bool) -> list[Finding]:
        """The answers to all questions; ``quick`` leaves out those that read all of the database."""
        found = [self._extensions(), self._rows()]
        if quick:
            return [*found, Finding(name="amcheck", value="left out: --quick", passed=None)]
        return [*found, self._damage(), self._checksums(), _not_verified()]

    def size(self) -> int:
        """Of the recovered database, in bytes. Raises AccessError."""
        return int(self._psql(self._scratch).ask(_SIZE)[0])

    def _psql(self, cluster: ClusterSnapshot) -> Psql:
        return Psql(
            self._session.api,
            namespace=cluster.namespace,
            pod=cluster.primary or f"{cluster.name}-1",
            database=self._database,
        )

    def _extensions(self) -> Finding:
        """An extension whose files the image lacks is there by name only."""
        psql = self._psql(self._scratch)
        there, lacking = psql.ask(_EXTENSIONS), psql.ask(_NOT_IN_IMAGE)
        if lacking:
            return Finding(name="extensions", value=f"not in the image: {', '.join(lacking)}", passed=False)
        try:
            live = self._psql(self._live).ask(_EXTENSIONS) if self._live else None
        except AccessError:
            live = None
        if live is None or live == there:
            return Finding(name="extensions", value=", ".join(there), passed=True if live else None)
        differing = ", ".join(sorted(set(live) ^ set(there)))
        return Finding(name="extensions", value=f"differ from the live database's by {differing}", passed=None)

    def _rows(self) -> Finding:
        self._told("counting rows")
        with ThreadPoolExecutor(max_workers=1) as pool:
            there = pool.submit(self._counted, self._live, before=self._moment) if self._live else None
            try:
                here, left_out = self._counted(self._scratch)
            except AccessError as error:
                # A table that cannot be read to its end is what a drill is for.
                return Finding(name="rows", value=error.cause, passed=False if error.code == "sql-failed" else None)
        if there is None:
            return Finding(name="rows", value="not compared: there is no live database", passed=None)
        try:
            live, _ = there.result()
        except AccessError as error:
            return Finding(name="rows", value=f"not compared: {error.cause}", passed=None)
        comparison = compare(here, live, left_out=left_out)
        return Finding(name="rows", value=comparison.value, passed=comparison.passed)

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

    def _damage(self) -> Finding:
        self._told("reading every page and index (amcheck)")
        try:
            checked = check_database(
                self._session.api,
                namespace=self._scratch.namespace,
                pod=self._scratch.primary or f"{self._scratch.name}-1",
                database=self._database,
                limit=_AMCHECK_LIMIT,
                stop=self._session.stop,
            )
        except AccessError as error:
            return Finding(name="amcheck", value=f"not finished: {error.cause}", passed=None)
        return Finding(name="amcheck", value=checked.said, passed=checked.whole)

    def _checksums(self) -> Finding:
        """After everything was read: PostgreSQL counts the pages whose checksum was wrong."""
        try:
            on, failures = self._psql(self._scratch).ask(_CHECKSUMS)[0].split("|")
        except AccessError as error:
            # A server that died of a damaged page starts again.
            return Finding(name="page checksums", value=f"not asked: {error.cause}", passed=None)
        if on != "on":
            return Finding(name="page checksums", value="off in this database", passed=None)
        return Finding(name="page checksums", value=f"on, {failures} failures", passed=failures == "0")


def _not_verified() -> Finding:
    return Finding(name="pg_verifybackup", value=_NO_MANIFEST, passed=None)
