"""SQL by ``psql`` inside the database's own pod.

The pod has the right client for its server and a local socket that needs no password, and it is reachable wherever the
Kubernetes API is: no port to open, no credential to fetch on the worst day of the year.
"""

from threading import Event

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec

CONTAINER = "postgres"
"""The container of an instance's pod that PostgreSQL runs in."""


def by_hand(api: KubernetesApi, namespace: str, pod: str, database: str) -> str:
    """The command that opens ``psql`` in a pod."""
    words = ("exec", "-it", pod, "-c", CONTAINER, "--", "psql", "-d", database)
    return api.commands.kubectl(*words, namespace=namespace)


class Psql:
    """Runs statements in one database of one pod."""

    def __init__(self, api: KubernetesApi, *, namespace: str, pod: str, database: str) -> None:
        self._pod = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER)
        self._where = f"{namespace}/{pod}"
        self._by_hand = by_hand(api, namespace, pod, database)
        self._database = database

    def ask(self, *statements: str, limit: float = 30, stop: Event | None = None) -> list[str]:
        """The output lines of the statements, each run in a transaction of its own; columns are joined by ``|``.

        Raises AccessError: ``sql-failed`` with PostgreSQL's message, and those of :class:`PodExec`.
        """
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self._database]
        for statement in statements:
            command += ["-c", statement]
        what = f"run SQL in {self._where}"
        ran = self._pod.run(command, what=what, limit=limit, stop=stop)
        if ran.code != 0:
            raise AccessError(
                "sql-failed",
                f"could not {what}: {ran.errors.strip() or f'psql exited with {ran.code}'}",
                f"look at the database: {self._by_hand}",
            )
        return ran.output.splitlines()
