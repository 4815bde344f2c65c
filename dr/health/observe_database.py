"""What a primary says of itself, in one question: its clock, its WAL, its archiver, its replicas."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.health.snapshot import DatabaseFacts, Replica
from dr.kube.api import KubernetesApi
from dr.postgres.psql import Psql, literal

_SECONDS = 10

_QUESTION = """SELECT json_build_object(
  'now', extract(epoch FROM clock_timestamp()),
  'position', pg_current_wal_lsn() - '0/0',
  'segmentSize', pg_size_bytes(current_setting('wal_segment_size')),
  'size', (SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datallowconn),
  'walSize', (SELECT coalesce(sum(size), 0) FROM pg_ls_waldir()),
  'archiveTimeout', (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
  'lastArchived', left(last_archived_wal, 24),
  'lastArchivedAt', extract(epoch FROM last_archived_time),
  'lastFailed', last_failed_wal,
  'lastFailedAt', extract(epoch FROM last_failed_time),
  'waiting', (SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'),
  'waitingSince', (SELECT extract(epoch FROM min(modification)) FROM pg_ls_archive_statusdir()
    WHERE name LIKE '%.ready'),
  'replicas', (SELECT coalesce(json_agg(json_build_object('name', application_name, 'state', state,
    'lag', extract(epoch FROM replay_lag))), '[]') FROM pg_stat_replication WHERE application_name LIKE {standbys})
) FROM pg_stat_archiver"""


def ask_database(api: KubernetesApi, cluster: ClusterSnapshot, *, clock: Callable[[], datetime]) -> DatabaseFacts:
    """The facts of the primary of ``cluster``. Raises AccessError, ``no-primary`` when it has none."""
    if cluster.primary is None:
        raise AccessError(
            "no-primary",
            f"{cluster.name} has no primary to ask",
            f"kubectl describe cluster {cluster.name} -n {cluster.namespace}",
        )
    psql = Psql(api, namespace=cluster.namespace, pod=cluster.primary, database="postgres")
    begun = clock()
    (answer,) = psql.ask(_QUESTION.format(standbys=literal(f"{cluster.name}-%")), limit=_SECONDS)
    return facts_of(json.loads(answer), asked_at=begun + (clock() - begun) / 2)


def facts_of(answer: dict[str, Any], *, asked_at: datetime) -> DatabaseFacts:
    """Read the database's answer."""
    return DatabaseFacts(
        asked_at=asked_at,
        now=datetime.fromtimestamp(answer["now"], UTC),
        position=int(answer["position"]),
        segment_size=int(answer["segmentSize"]),
        size=int(answer["size"]),
        wal_size=int(answer["walSize"]),
        archive_timeout=timedelta(seconds=answer["archiveTimeout"]),
        last_archived=answer["lastArchived"] or "",
        last_archived_at=_time(answer["lastArchivedAt"]),
        last_failed=answer["lastFailed"] or "",
        last_failed_at=_time(answer["lastFailedAt"]),
        waiting=int(answer["waiting"]),
        waiting_since=_time(answer["waitingSince"]),
        replicas=tuple(
            Replica(
                name=one["name"],
                state=one["state"],
                lag=None if one["lag"] is None else timedelta(seconds=one["lag"]),
            )
            for one in answer["replicas"]
        ),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
