"""Finding out when a table was dropped: in the catalog, in the WAL on the server, then back through the archive.

The WAL on the server is read first. Where the drop is older than that, the archived WAL is searched backwards.

The segments are fetched here and read in the primary's pod, a few at a time and the next ones meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from dr.archive.reader import OpenArchive, open_archive
from dr.archive.wal_lines import Piece, WalView, first_missing, pieces_before
from dr.archive.wal_scan import Scan, head, packed, scan_sent, scan_wal, segments_at_once
from dr.before_drop.catalog_pages import committed, name_at_end, names_now, read_catalog
from dr.before_drop.drops import (
    CatalogView,
    Drop,
    as_drop,
    candidates,
    catalog_rewritten,
    doubtful,
    drop_too_old,
    drop_unknown,
    endings,
    source_silent,
    table_exists,
    table_renamed,
)
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster
from dr.cnpg.primary import primary_of, psql_of
from dr.core.commands import CommandLines
from dr.core.errors import AccessError, Problem, RefusedError
from dr.core.text import exact_moment_of, whole_seconds_of
from dr.postgres.table_name import TableName
from dr.run.session import Session


def find_drop(session: Session, source: str, table: TableName) -> Drop:
    """The last drop of ``table`` in the Cluster ``source``.

    Raises RefusedError where it is not certain, with what can be done instead, and AccessError.
    """
    environment = session.environment
    cluster = find_cluster(session.api, environment.namespace, source)
    if cluster is None or cluster.primary is None:
        raise RefusedError([source_silent(environment.commands, source, "there is no primary of it")])
    pod = cluster.primary
    psql = psql_of(session.api, cluster)
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
        called = name_at_end(psql, table, catalog, found[-1]) if found else None
        if not found:
            raise RefusedError([_why_not(environment.commands, table, catalog, scan, names, place.database, why)])
    except AccessError as error:
        raise RefusedError([source_silent(environment.commands, source, error.cause)]) from error
    last = found[-1]
    if last.commit is None:
        raise RefusedError([drop_too_old(environment.commands, table, last.xid, scan.wal.first_segment, why)])
    earlier = [ending.commit.time for ending in found[:-1] if ending.commit]
    return as_drop(
        str(table),
        last.commit,
        scan.wal,
        kept=scan.before.get(last.commit.number - 1),
        called=called,
        earlier=earlier,
        again=catalog.exists,
        from_archive=read,
    )


def _why_not(
    commands: CommandLines, table: TableName, catalog: CatalogView, scan: Scan, names: set[str], database: int, why: str
) -> Problem:
    """Why no drop is known: ``names`` are those that tables once called ``table`` have now, ``why`` is why no more WAL
    was read.
    """
    if catalog.exists:
        return table_exists(commands, table)
    if names:
        return table_renamed(table, names)
    rewritten = catalog_rewritten(scan.wal, database)
    found = candidates(scan.wal, database)
    return drop_unknown(commands, table, scan.wal.first_segment, found, why, rewritten=rewritten)


_LIMIT_SECONDS = 600
_FETCHED_AT_ONCE = 4


@dataclass(frozen=True, kw_only=True)
class Further:
    """All that was read, how many segments of it came from the archive, and why no more did: empty if it was enough."""

    scan: Scan
    segments: int
    why: str


@dataclass(frozen=True, kw_only=True)
class _Segment:
    """A segment on its way: its beginning, and all of it as it is sent."""

    head: bytes
    sent: bytes


def read_further(
    session: Session,
    cluster: ClusterSnapshot,
    scan: Scan,
    *,
    relation: str,
    xids: Collection[int],
    enough: Callable[[WalView], bool],
) -> Further:
    """Read on before ``scan``, newest first, until ``enough``, or until there is no more, or it has taken too long.

    Raises AccessError when the pod cannot be asked any more; a bucket that does not answer is a reason to end.
    """
    try:
        opened = open_archive(session.environment.backup, cluster.server_name or cluster.name)
    except AccessError as error:
        return Further(scan=scan, segments=0, why=error.cause)
    size = segments_at_once(cluster.spec, opened.archive.segment_size)
    if not size:
        return Further(scan=scan, segments=0, why="the limit of the pod's temporaryData leaves no room for more")
    return _back(session, cluster, scan, opened, size=size, relation=relation, xids=xids, enough=enough)


def _back(
    session: Session,
    cluster: ClusterSnapshot,
    scan: Scan,
    opened: OpenArchive,
    *,
    size: int,
    relation: str,
    xids: Collection[int],
    enough: Callable[[WalView], bool],
) -> Further:
    begin, segments = time.monotonic(), 0
    pool = ThreadPoolExecutor(max_workers=_FETCHED_AT_ONCE)

    def fetch(name: str) -> _Segment:
        content = opened.content(name)
        return _Segment(head=head(content), sent=packed(name, content))

    try:
        newest = scan.wal.first_segment
        following = head(opened.content(newest)) if newest in opened.archive.files else b""
        for piece, fetched in _ahead(pool, fetch, pieces_before(opened.archive, newest, size=size)):
            found = [one.result() for one in fetched]
            older = scan_sent(
                session.api,
                namespace=cluster.namespace,
                pod=primary_of(session.api, cluster),
                piece=piece,
                sent=[*(one.sent for one in found), packed(piece.after_as, following)],
                relation=relation,
                xids=xids,
            )
            scan, following, segments = scan.after(older), found[0].head, segments + len(found)
            if enough(scan.wal):
                return Further(scan=scan, segments=segments, why="")
            archived = opened.archive.files[piece.segments[0]]
            session.say(f"looking for the drop in the archived WAL: {segments:,} segments, back to {_when(archived)}")
            if time.monotonic() - begin > _LIMIT_SECONDS:
                why = f"the archive was read for {whole_seconds_of(_LIMIT_SECONDS)}, back to {_when(archived)}"
                return Further(scan=scan, segments=segments, why=why)
    except AccessError as error:
        return Further(scan=scan, segments=segments, why=error.cause)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    missing = first_missing(opened.archive, scan.wal.first_segment)
    return Further(scan=scan, segments=segments, why=f"the segment before it, {missing}, is not in the archive")


def _ahead(
    pool: ThreadPoolExecutor, fetch: Callable[[str], _Segment], pieces: Iterable[Piece]
) -> Iterator[tuple[Piece, list[Future[_Segment]]]]:
    """The pieces with their segments, of which those of the next one are fetched meanwhile."""
    waiting: deque[tuple[Piece, list[Future[_Segment]]]] = deque()
    for piece in pieces:
        waiting.append((piece, [pool.submit(fetch, name) for name in piece.segments]))
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting


def _when(archived: datetime | None) -> str:
    return exact_moment_of(archived) if archived else "a time that is not known"
