"""Looking at what can be recovered. The bucket is enough: the Kubernetes cluster may be gone, and it is asked only
which archive is the serving one's.
"""

import time
from collections.abc import Callable
from datetime import datetime
from threading import Thread

from dr.clients.archive_reader import read_archives
from dr.clients.cnpg import find_cluster
from dr.clients.kubernetes import KubernetesApi
from dr.clients.workloads import external_name
from dr.model.config import Environment
from dr.model.errors import AccessError
from dr.model.traffic import cluster_behind
from dr.model.window_report import WindowReport

_CLUSTER_SECONDS = 4.0


class _Asking:
    """The question to the cluster, which goes on beside the reading of the bucket and is not waited for for long."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._until = time.monotonic() + _CLUSTER_SECONDS
        self._server_name: str | None = None
        self._silence = ""
        # A daemon: a process that is done should not wait for a server that never answers.
        self._thread = Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        try:
            self._server_name = _serving(self._environment)
        except AccessError as error:
            self._silence = error.cause

    def result(self) -> tuple[str | None, str]:
        """The serverName that serves, and why it is not known."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        if self._thread.is_alive():
            context = self._environment.kubernetes.context
            return None, f"the cluster of context {context} did not answer within {_CLUSTER_SECONDS:.0f} s"
        if self._server_name is None and not self._silence:
            return None, f"the Service {self._environment.service} points to no Cluster that archives by itself"
        return self._server_name, self._silence


def look(environment: Environment, server_name: str | None, *, clock: Callable[[], datetime]) -> WindowReport:
    """What the bucket holds now, of ``server_name`` or of all. Raises AccessError for the bucket only."""
    asking = _Asking(environment)
    archives = read_archives(environment.backup, server_name)
    serving, silence = asking.result()
    return WindowReport(
        environment=environment.name,
        place=environment.backup.url,
        seen_at=clock(),
        archives=archives,
        serving=serving,
        silence=silence,
    )


def _serving(environment: Environment) -> str | None:
    api, namespace = KubernetesApi(environment.kubernetes), environment.namespace
    name = cluster_behind(external_name(api, namespace, environment.service) or "", namespace)
    cluster = find_cluster(api, namespace, name) if name else None
    return cluster.server_name if cluster else None
