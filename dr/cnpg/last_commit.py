"""The last commit that a server has acknowledged."""

from datetime import UTC, datetime

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.postgres.psql import Psql

_LIMIT_SECONDS = 10
_LAST = (
    "SELECT extract(epoch FROM timestamp) FROM pg_last_committed_xact() "
    "WHERE current_setting('track_commit_timestamp') = 'on' AND timestamp IS NOT NULL"
)


def last_acknowledged(api: KubernetesApi, cluster: ClusterSnapshot) -> datetime | None:
    """Its time by the server's own clock; None where the primary does not answer, or does not keep these times
    (``track_commit_timestamp``). Not knowing fails nothing.
    """
    if cluster.primary is None:
        return None
    psql = Psql(api, namespace=cluster.namespace, pod=cluster.primary, database="postgres")
    try:
        answers = psql.ask(_LAST, limit=_LIMIT_SECONDS)
        return datetime.fromtimestamp(float(answers[0]), UTC) if answers else None
    except (AccessError, ValueError):
        return None
