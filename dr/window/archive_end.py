"""When the last commit in an archive was: read from its last segments, where there is a pod that can read them."""

from collections.abc import Iterator
from itertools import islice

from dr.archive.reader import OpenArchive
from dr.archive.wal_pieces import Piece, pieces_before
from dr.archive.wal_scan import head, packed, scan_sent, segments_at_once
from dr.archive.window import End, windows
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.core.wal_names import number_of, timeline_of
from dr.kube.api import KubernetesApi

_SEGMENTS = 4
"""How many segments are looked into: on a quiet database the last ones may hold no commit."""
_NO_RELATION = "1/1/1"


def last_commit(api: KubernetesApi, cluster: ClusterSnapshot, opened: OpenArchive) -> End | None:
    """The end of the newest window of ``cluster``'s archive that is gone to by itself, with its last commit.

    None where that cannot be told. It is an addition, so no error is raised.
    """
    archive = opened.archive
    ends = [window.end for window in windows(archive) if window.by_default]
    if not ends or cluster.primary is None or not segments_at_once(cluster.spec, archive.segment_size):
        return None
    following = b""
    try:
        for piece in islice(_pieces(opened, ends[-1].segment), _SEGMENTS):
            (name,) = piece.segments
            content = opened.content(name)
            scan = scan_sent(
                api,
                namespace=cluster.namespace,
                pod=cluster.primary,
                piece=piece,
                sent=[packed(name, content), *([packed(piece.after_as, following)] if following else [])],
                relation=_NO_RELATION,
                xids=(),
            )
            if scan.wal.last is not None:
                end = ends[-1]
                return End(segment=end.segment, lsn=end.lsn, archived=end.archived, last_commit=scan.wal.last)
            following = head(content)
    except AccessError:
        return None
    return None


def _pieces(opened: OpenArchive, last: str) -> Iterator[Piece]:
    """Single segments from ``last`` on, newest first."""
    archive = opened.archive
    number = number_of(last, archive.segment_size) + 1
    after = archive.name(timeline_of(last), number)
    yield Piece(segments=(last,), after=after, after_as=after, end=number * archive.segment_size)
    yield from pieces_before(archive, last, size=1)
