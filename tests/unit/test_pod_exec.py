"""How a program in a pod ended, as Kubernetes tells it on a channel of its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.stream.ws_client import ERROR_CHANNEL, WSClient

from dr.clients.cluster.kubernetes import KubernetesApi
from dr.clients.database import pod_exec
from dr.clients.database.pod_exec import PodExec
from dr.model.errors import AccessError


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
