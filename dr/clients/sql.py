"""SQL by ``psql`` inside the database's own pod.

The pod has the right client for its server and a local socket that needs no password, and it is reachable wherever the
Kubernetes API is: no port to open, no credential to fetch on the worst day of the year.
"""

import time
from threading import Event

from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from dr.clients.kubernetes import KubernetesApi
from dr.model.errors import AccessError

_CONTAINER = "postgres"


class Psql:
    """Runs statements in one database of one pod."""

    def __init__(self, api: KubernetesApi, *, namespace: str, pod: str, database: str) -> None:
        self._api = api
        # stream() swaps the request function of the client it is given, so it must not be a shared one.
        self._core = CoreV1Api(api.new_client())
        self._namespace = namespace
        self._pod = pod
        self._database = database

    def ask(self, *statements: str, limit: float = 30, stop: Event | None = None) -> list[str]:
        """The output lines of the statements, each run in a transaction of its own; columns are joined by ``|``.

        Raises AccessError: ``sql-failed`` with PostgreSQL's message, ``sql-timeout`` after ``limit`` seconds,
        ``sql-interrupted`` when ``stop`` is set meanwhile.
        """
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self._database]
        for statement in statements:
            command += ["-c", statement]
        what = f"run SQL in {self._namespace}/{self._pod}"
        try:
            output, errors, code = self._run(command, limit, stop)
        except ApiException as error:
            raise self._api.explained(error, what) from error
        except (HTTPError, OSError, WebSocketException) as error:
            raise self._api.unreachable(error, what) from error
        if code != 0:
            raise AccessError(
                "sql-failed",
                f"could not {what}: {errors.strip() or f'psql exited with {code}'}",
                f"look at the database: kubectl -n {self._namespace} exec -it {self._pod} -c {_CONTAINER} -- psql",
            )
        return output.splitlines()

    def _run(self, command: list[str], limit: float, stop: Event | None) -> tuple[str, str, int]:
        deadline = time.monotonic() + limit
        socket = stream(
            self._core.connect_get_namespaced_pod_exec,
            self._pod,
            self._namespace,
            container=_CONTAINER,
            command=command,
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        output, errors = "", ""
        try:
            while socket.is_open():
                socket.update(timeout=0.2)
                output += socket.read_stdout(timeout=0) or ""
                errors += socket.read_stderr(timeout=0) or ""
                if stop is not None and stop.is_set():
                    raise AccessError("sql-interrupted", "interrupted while SQL was running", "repeat the command")
                if time.monotonic() > deadline:
                    raise AccessError(
                        "sql-timeout",
                        f"PostgreSQL in {self._namespace}/{self._pod} did not answer within {limit:.0f} s",
                        "look at its locks and its log; is its volume full?",
                    )
            output += socket.read_stdout(timeout=0) or ""
            errors += socket.read_stderr(timeout=0) or ""
            return output, errors, socket.returncode or 0
        finally:
            socket.close()
