"""Running a program inside a pod, through the Kubernetes API."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event

from kubernetes.client import CoreV1Api
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import WSClient
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

_HANDSHAKE = re.compile(r"Handshake status (?P<status>\d+) (?P<reason>.*?) -\+-\+- .* -\+-\+- (?P<body>.*)", re.DOTALL)
"""A refusal in the words of websocket-client (``WebSocketBadStatusException`` in ``_handshake.py``)."""
_NOT_RUNNING = re.compile(r"container not found \(|is in CONTAINER_EXITED state|container \S+ is not running")
"""That a container is not running, in the words of the kubelet (``server.go``) and of containerd and CRI-O."""
GONE = {"not-found", "container-not-running"}
"""The codes of a program that could not be run because its pod is gone, or its container is, by the node's own word.
No other failure says anything about what runs there: a node that is cut off still serves its clients."""
_CHUNK = 2**18
"""How much of a program's input goes into one message, in bytes: servers on the way have limits."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a program said, and its exit code."""

    output: str
    errors: str
    code: int


class PodExec:
    """Runs programs in one container of one pod."""

    def __init__(self, api: KubernetesApi, *, namespace: str, pod: str, container: str) -> None:
        self._api = api
        # stream() swaps the request function of the client it is given, so it must not be a shared one.
        self._core = CoreV1Api(api.new_client())
        self._namespace = namespace
        self._pod = pod
        self._container = container

    def run(
        self,
        command: Sequence[str],
        *,
        what: str,
        limit: float,
        stop: Event | None = None,
        standard_input: str | bytes = "",
    ) -> Ran:
        """Run ``command`` to its end. ``what`` says what it is for: "run SQL in data/postgres-1". It has to read all of
        ``standard_input`` before it says much, and cannot see its end.

        Raises AccessError: ``exec-timeout`` after ``limit`` seconds, ``exec-interrupted`` when ``stop`` is set
        meanwhile, ``exec-failed`` when nothing tells how it ended, ``container-not-running`` where the node's own
        runtime says so, and those of :class:`KubernetesApi`.
        """
        try:
            return self._run(list(command), what, limit, stop, standard_input)
        except ApiException as error:
            raise self._refused(error, what) from error
        except (HTTPError, OSError, WebSocketException) as error:
            raise self._api.unreachable(error, what) from error

    def _refused(self, error: ApiException, what: str) -> AccessError:
        """What a refused exec means. The client gives the status and the body of the answer as text only
        (``websocket_call`` in ``ws_client.py``); a connection that was not made has neither.
        """
        if error.status == 0:
            answer = _HANDSHAKE.match(str(error.reason))
            if answer is None:
                return self._api.unreachable(error, what)
            error = ApiException(status=int(answer["status"]), reason=answer["reason"])
            error.body = answer["body"]
        explained = self._api.explained(error, what)
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and _NOT_RUNNING.search(explained.cause):
            return AccessError("container-not-running", explained.cause, "look at the pod; repeat when it runs")
        return explained

    def _run(self, command: list[str], what: str, limit: float, stop: Event | None, standard_input: str | bytes) -> Ran:
        deadline = time.monotonic() + limit
        socket = stream(
            self._core.connect_get_namespaced_pod_exec,
            self._pod,
            self._namespace,
            container=self._container,
            command=command,
            stdin=bool(standard_input),
            stdout=True,
            stderr=True,
            _preload_content=False,
        )
        output, errors = "", ""
        try:
            socket.sock.settimeout(limit)
            for first in range(0, len(standard_input), _CHUNK):
                socket.write_stdin(standard_input[first : first + _CHUNK])
            while socket.is_open():
                socket.update(timeout=0.2)
                output += socket.read_stdout(timeout=0) or ""
                errors += socket.read_stderr(timeout=0) or ""
                if stop is not None and stop.is_set():
                    raise AccessError("exec-interrupted", f"interrupted: could not {what}", "repeat the command")
                if time.monotonic() > deadline:
                    raise AccessError(
                        "exec-timeout",
                        f"could not {what} within {limit:.0f} s",
                        "look at the pod's log; for a database, at its locks: is its volume full?",
                    )
            output += socket.read_stdout(timeout=0) or ""
            errors += socket.read_stderr(timeout=0) or ""
            return Ran(output=output, errors=errors, code=_exit_code(socket, what))
        finally:
            socket.close()


def _exit_code(socket: WSClient, what: str) -> int:
    """The program's exit code, from the channel on which Kubernetes tells it.

    The client expects a number there. A container that is on its way out gives the runtime's words instead, and a
    connection that was cut gives nothing.
    """
    try:
        return socket.returncode or 0
    except ValueError as error:
        why = str(error).partition(": ")[2]
    except (TypeError, KeyError, IndexError):
        why = "the connection ended first"
    raise AccessError("exec-failed", f"could not {what}: {why}", "is the pod on its way out or in? Repeat the command")
