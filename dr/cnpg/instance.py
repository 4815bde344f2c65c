"""What an instance says of itself: its versions, and the last commit that it has acknowledged."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from kubernetes import client

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import SERVER, psql_of
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
    try:
        answers = psql_of(api, cluster, SERVER).ask(_LAST, limit=_LIMIT_SECONDS)
        return datetime.fromtimestamp(float(answers[0]), UTC) if answers else None
    except (AccessError, ValueError):
        return None


_OPERATOR = "cnpg.io/operatorVersion"
_POSTGRES = "SELECT split_part(current_setting('server_version'), ' ', 1)"


def read_versions(api: KubernetesApi, psql: Psql, *, namespace: str, pod: str) -> dict[str, str]:
    """Those of Kubernetes, of the operator by its mark on ``pod``, and of PostgreSQL by ``psql``.

    One that does not answer is left out: not knowing a version must not fail it.
    """
    found: dict[str, str] = {}
    with suppress(AccessError):
        found["Kubernetes"] = api.ask("read the version", _version_of(api).get_code).git_version
    with suppress(AccessError):
        seen: Any = api.find(f"read the pod {namespace}/{pod}", api.core.read_namespaced_pod, pod, namespace)
        marks = (seen.metadata.annotations or {}) if seen else {}
        if operator := marks.get(_OPERATOR):
            found["CloudNativePG"] = operator
    with suppress(AccessError, ValueError):
        (found["PostgreSQL"],) = psql.ask(_POSTGRES)
    return found


def _version_of(api: KubernetesApi) -> Any:
    return client.VersionApi(api.new_client())
