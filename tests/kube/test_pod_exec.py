"""How a program in a pod ended, as Kubernetes tells it on a channel of its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.stream.ws_client import ERROR_CHANNEL, WSClient

from dr.core.errors import AccessError
from dr.kube import pod_exec
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from tests.support.doubles import Wire


class _Ended(WSClient):  # type: ignore[misc]  # the client comes without types
    """A connection that has ended, with what was told on the channel of errors."""

    def __init__(self, told: str) -> None:
        self.sock = self
        self._connected = False
        self._returncode = None
        self._told = told

    def settimeout(self, _: float) -> None:
        """As of a socket."""

    def read_channel(self, channel: int, timeout: float = 0) -> str:
        """Only errors were told."""
        return self._told if channel == ERROR_CHANNEL else ""

    def close(self, **_: Any) -> None:
        """Was closed."""


EXEC = "/api/v1/namespaces/data/pods/postgres-1/exec"


def _refusal(api: KubernetesApi) -> AccessError:
    with pytest.raises(AccessError) as failed:
        PodExec(api, namespace="data", pod="postgres-1", container="postgres").run(["true"], what="ask", limit=5)
    return failed.value


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (401, "Unauthorized", "token-expired"),
        (403, 'pods "postgres-1" is forbidden: User "ann" cannot create resource "pods/exec"', "forbidden"),
        (500, "error dialing backend: dial tcp 10.0.0.7:10250: connect: no route to host", "api-error"),
        (500, "No agent available", "api-error"),
        (503, "the server is currently unable to handle the request", "api-error"),
        (500, 'unable to upgrade connection: container not found ("postgres")', "container-not-running"),
    ],
)
def test_a_refused_exec_is_told_by_its_status_and_in_the_servers_words(
    wire: Wire, api: KubernetesApi, status: int, message: str, code: str
) -> None:
    """O2, E5: the client gives every refusal the status 0."""
    wire.on(EXEC, {"kind": "Status", "message": message}, status=status)
    refused = _refusal(api)
    assert refused.code == code
    assert code == "token-expired" or message in refused.cause


def test_a_page_of_a_proxy_is_no_word_about_the_container(wire: Wire, api: KubernetesApi) -> None:
    """O2: HTML, from what stands in between."""
    wire.on(EXEC, {"html": "container is not running"}, status=502)
    assert _refusal(api).code == "api-error"


Run = Callable[[str], int]


@pytest.fixture
def run(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs something that ends with what is told."""

    def run(told: str) -> int:
        monkeypatch.setattr(pod_exec, "stream", lambda *_, **__: _Ended(told))
        pod = PodExec(api, namespace="data", pod="postgres-1", container="postgres")
        return pod.run(["true"], what="ask", limit=5).code

    return run


def _failure(message: str) -> str:
    return json.dumps({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": message}]}})


@pytest.mark.parametrize(("told", "code"), [(json.dumps({"status": "Success"}), 0), (_failure("2"), 2)])
def test_its_exit_code_is_what_kubernetes_tells(run: Run, told: str, code: int) -> None:
    assert run(told) == code


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (_failure("failed to exec in container: no running task found"), "no running task found"),
        (json.dumps({"status": "Failure"}), "the connection ended first"),
        ("", "the connection ended first"),
    ],
)
def test_a_container_that_goes_meanwhile_is_no_fault_of_the_tool(run: Run, told: str, why: str) -> None:
    with pytest.raises(AccessError, match=why) as failed:
        run(told)
    assert failed.value.code == "exec-failed"
