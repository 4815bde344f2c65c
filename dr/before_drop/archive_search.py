"""Going back through the archived WAL, where the WAL on the server is not enough. Bounded, and told of on the way.

The segments are fetched here and read in the primary's pod, a few at a time and the next ones meanwhile.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from dr.archive.reader import OpenArchive, open_archive
from dr.archive.wal_lines import WalView
from dr.archive.wal_pieces import Piece, first_missing, pieces_before
from dr.archive.wal_scan import Scan, head, packed, scan_sent, segments_at_once
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.core.target import RecoveryTarget
from dr.run.session import Session

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
                pod=cluster.primary or "",
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
                why = f"the archive was read for {_LIMIT_SECONDS // 60} minutes, back to {_when(archived)}"
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
    return str(RecoveryTarget(archived)) if archived else "a time that is not known"
