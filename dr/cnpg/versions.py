"""Which versions are at work: what a report needs to be compared with another one."""

from contextlib import suppress
from typing import Any

from kubernetes import client

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.postgres.psql import Psql

_OPERATOR = "cnpg.io/operatorVersion"
_POSTGRES = "SELECT split_part(current_setting('server_version'), ' ', 1)"


def read_versions(api: KubernetesApi, psql: Psql, *, namespace: str, pod: str) -> dict[str, str]:
    """Those of Kubernetes, of the operator by its mark on ``pod``, and of PostgreSQL by ``psql``.

    One that does not answer is left out: not knowing a version is no reason to fail.
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
