"""The primary of a Cluster, where SQL and PostgreSQL's own programs are run.

Which pod that is, CloudNativePG says and nobody guesses: a statement that is meant for the primary would fail on a
standby, or tell of another database.
"""

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from dr.postgres.psql import CONTAINER, Psql

SERVER = "postgres"
"""The database in which a question about the whole server is asked: every server has it."""


def primary_of(api: KubernetesApi, cluster: ClusterSnapshot) -> str:
    """The name of its primary's pod. Raises AccessError ``no-primary`` when it has none."""
    if cluster.primary is None:
        raise AccessError(
            "no-primary",
            f"{cluster.name} has no primary to ask",
            api.commands.kubectl("describe", "cluster", cluster.name, namespace=cluster.namespace),
        )
    return cluster.primary


def psql_of(api: KubernetesApi, cluster: ClusterSnapshot, database: str | None = None) -> Psql:
    """``psql`` in its primary, in ``database``; None is the application's. Raises AccessError ``no-primary``."""
    return Psql(api, namespace=cluster.namespace, pod=primary_of(api, cluster), database=database or cluster.database)


def programs_of(api: KubernetesApi, cluster: ClusterSnapshot) -> PodExec:
    """The programs of its primary's pod. Raises AccessError ``no-primary``."""
    return PodExec(api, namespace=cluster.namespace, pod=primary_of(api, cluster), container=CONTAINER)
