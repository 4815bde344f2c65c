"""Looking at what can be recovered, in the bucket, and at the last commit of the archive that is written now."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice
from threading import Thread

from dr.archive.reader import OpenArchive, open_archives
from dr.archive.wal_lines import Piece, pieces_before
from dr.archive.wal_reader import sampled
from dr.archive.wal_scan import head, packed, scan_sent, segments_at_once
from dr.archive.window import End, windows
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster
from dr.config.environment import Environment
from dr.core.errors import AccessError
from dr.core.wal_names import number_of, timeline_of
from dr.kube.api import KubernetesApi
from dr.kube.workloads import external_name
from dr.window.report import WindowReport

_CLUSTER_SECONDS = 4.0
_COMMIT_SECONDS = 10.0


class _Asking:
    """The question to the cluster, which runs during the reading of the bucket and is not waited for for long."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._until = time.monotonic() + _CLUSTER_SECONDS
        self._serving: tuple[KubernetesApi, ClusterSnapshot] | None = None
        self._silence = ""
        self._thread = _beside(self._ask)

    def _ask(self) -> None:
        try:
            self._serving = _serving(self._environment)
        except AccessError as error:
            self._silence = error.cause

    def result(self) -> tuple[tuple[KubernetesApi, ClusterSnapshot] | None, str]:
        """The Cluster that serves, with the connection it was seen by, and why it is not known."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if self._thread.is_alive():
            context = self._environment.kubernetes.context
            return None, f"the cluster of context {context} did not answer within {_CLUSTER_SECONDS:.0f} s"
        if self._serving is None and not self._silence:
            return None, f"the Service {self._environment.service} points to no Cluster that archives"
        return self._serving, self._silence


def look(environment: Environment, server_name: str | None, *, clock: Callable[[], datetime]) -> WindowReport:
    """What the bucket holds now, of ``server_name`` or of all. Raises AccessError for the bucket only."""
    asking = _Asking(environment)
    opened = tuple(replace(one, archive=sampled(one)) for one in open_archives(environment.backup, server_name))
    serving, silence = asking.result()
    name = serving[1].server_name if serving else None
    return WindowReport(
        environment=environment.name,
        place=environment.backup.url,
        seen_at=clock(),
        archives=tuple(one.archive for one in opened),
        serving=name,
        silence=silence,
        end=_end(*serving, next((one for one in opened if one.archive.server_name == name), None)) if serving else None,
    )


def _end(api: KubernetesApi, cluster: ClusterSnapshot, opened: OpenArchive | None) -> End | None:
    """The end of the serving archive with its last commit, if it is known in time."""
    found: list[End | None] = []
    if opened is not None:
        _beside(lambda: found.append(last_commit(api, cluster, opened))).join(_COMMIT_SECONDS)
    return found[0] if found else None


def _serving(environment: Environment) -> tuple[KubernetesApi, ClusterSnapshot] | None:
    api, namespace = KubernetesApi(environment.kubernetes, environment.commands), environment.namespace
    name = cluster_behind(external_name(api, namespace, environment.service) or "", namespace)
    cluster = find_cluster(api, namespace, name) if name else None
    return (api, cluster) if cluster and cluster.server_name else None


def _beside(work: Callable[[], object]) -> Thread:
    """A daemon: a process that is done should not wait for a server that never answers."""
    thread = Thread(target=work, daemon=True)
    thread.start()
    return thread


_SEGMENTS = 4
"""How many segments are looked into: on a quiet database the last ones may hold no commit."""
_NO_RELATION = "1/1/1"


def last_commit(api: KubernetesApi, cluster: ClusterSnapshot, opened: OpenArchive) -> End | None:
    """The end of the newest window of ``cluster``'s archive that is followed unasked, with its last commit.

    None where that is not known. It is an addition, so no error is raised.
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
