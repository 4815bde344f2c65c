"""Finding out when a table was dropped, so that nobody has to name a safe time. Only looks, but for a checkpoint.

The WAL on the server is read first. Where the drop is older than that, the archive is gone back through.
"""

from dr.archive.wal_lines import WalView
from dr.archive.wal_scan import Scan, scan_wal
from dr.before_drop.archive_search import read_further
from dr.before_drop.catalog_pages import committed, names_now, read_catalog
from dr.before_drop.drops import CatalogView, Drop, as_drop, candidates, doubtful, endings
from dr.before_drop.refusals import drop_too_old, drop_unknown, source_silent, table_exists, table_renamed
from dr.cnpg.clusters import find_cluster
from dr.core.errors import AccessError, Problem, RefusedError
from dr.postgres.psql import Psql
from dr.postgres.table_argument import TableName
from dr.run.session import Session


def find_drop(session: Session, source: str, table: TableName) -> Drop:
    """The last drop of ``table`` in the Cluster ``source``.

    Raises RefusedError where it cannot be told for certain, with what can be done instead, and AccessError.
    """
    environment = session.environment
    cluster = find_cluster(session.api, environment.namespace, source)
    if cluster is None or cluster.primary is None:
        raise RefusedError([source_silent(environment.name, source, "there is no primary of it")])
    pod = cluster.primary
    psql = Psql(session.api, namespace=cluster.namespace, pod=pod, database=cluster.database)
    try:
        place, catalog = read_catalog(psql, table)
        xids = {row.row.ended_by for row in catalog.rows} - {0}
        scan = scan_wal(
            session.api,
            namespace=cluster.namespace,
            pod=pod,
            segment=place.segment,
            relation=place.relation,
            xids=xids,
        )
        known = committed(psql, doubtful(catalog, scan.wal))
        found, names, why = endings(catalog, scan.wal, known), set[str](), ""
        if not found:
            rows = (row.oid for row in catalog.rows if row.namespace in catalog.schemas)
            names = set(names_now(psql, set(rows)).values())

        def enough(wal: WalView) -> bool:
            """When it was, where the catalog tells who it was; else who it may have been."""
            ends = endings(catalog, wal, known)
            return ends[-1].commit is not None if ends else bool(candidates(wal, place.database))

        read = 0
        if (found or not (catalog.exists or names)) and not enough(scan.wal):
            further = read_further(session, cluster, scan, relation=place.relation, xids=xids, enough=enough)
            scan, read, why = further.scan, further.segments, further.why
            found = endings(catalog, scan.wal, known)
        if not found:
            raise RefusedError([_why_not(environment.name, table, catalog, scan, names, place.database, why)])
    except AccessError as error:
        raise RefusedError([source_silent(environment.name, source, error.cause)]) from error
    last = found[-1]
    if last.commit is None:
        raise RefusedError([drop_too_old(environment.name, table, last.xid, scan.wal.first_segment, why)])
    earlier = [ending.commit.time for ending in found[:-1] if ending.commit]
    return as_drop(
        str(table),
        last.commit,
        scan.wal,
        kept=scan.before.get(last.commit.number - 1),
        earlier=earlier,
        again=catalog.exists,
        from_archive=read,
    )


def _why_not(
    environment: str, table: TableName, catalog: CatalogView, scan: Scan, names: set[str], database: int, why: str
) -> Problem:
    """Why no drop is known: ``names`` are those that tables once called ``table`` have now, ``why`` is why no more WAL
    was read.
    """
    if catalog.exists:
        return table_exists(environment, table)
    if names:
        return table_renamed(table, names)
    return drop_unknown(environment, table, scan.wal.first_segment, candidates(scan.wal, database), why)
