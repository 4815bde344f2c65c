"""Whose password a login is tried with."""

import base64

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import StepFailedError
from dr.kube.api import KubernetesApi
from dr.traffic.passwords import logins_for
from tests.support.builders import a_recovered, a_workload, cluster_object, object_of
from tests.support.doubles import Wire, kube_status

RECOVERED = ClusterSnapshot.from_object(object_of(a_recovered()))
OWN = "postgres-prod-recovered-app"


def _code(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def _secrets(wire: Wire, namespace: str, **passwords: str | None) -> None:
    for name, password in passwords.items():
        path = f"/api/v1/namespaces/{namespace}/secrets/{name.replace('_', '-')}"
        if password is None:
            wire.on(path, kube_status(404, "not found", name=name), status=404)
        else:
            user, _, word = password.partition(":")
            wire.on(path, {"metadata": {"name": name}, "data": {"username": _code(user), "password": _code(word)}})


def _source(wire: Wire, *, there: bool = True) -> None:
    path = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod"
    answer = cluster_object() if there else kube_status(404, "not found", name="postgres-prod")
    wire.on(path, answer, status=200 if there else 404)


def _tried(api: KubernetesApi, *secrets: str, back: bool = False) -> list[tuple[str, str]]:
    workload = a_workload("api", secrets=secrets)
    found = logins_for(api, RECOVERED, [workload], namespace="prod", back=back)
    return [(base64.b64decode(one.secret["password"]).decode(), one.whose) for one in found]


def test_the_workloads_own_secret_is_known_by_the_owners_user_name(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    _secrets(wire, "prod", cache="redis:x", database="keeper:theirs", empty=None)
    assert _tried(api, "cache", "database", "empty") == [("theirs", "Secret database of api")]


def test_each_password_of_the_workloads_is_tried_once(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    _secrets(wire, "prod", a="keeper:one", b="keeper:two", c="keeper:one")
    assert [password for password, _ in _tried(api, "a", "b", "c")] == ["one", "two"]


@pytest.mark.parametrize("status", [403, 404])
def test_where_none_is_known_the_password_is_the_one_that_was_used_before(
    wire: Wire, api: KubernetesApi, status: int
) -> None:
    """E19."""
    wire.on("/api/v1/namespaces/prod/secrets/database", kube_status(status, "no", name="database"), status=status)
    _source(wire)
    _secrets(wire, "data", shop_owner="keeper:before")
    ((password, whose),) = _tried(api, "database")
    assert password == "before"
    assert whose.startswith("Secret shop-owner of postgres-prod, as no Secret of the workloads")


@pytest.mark.parametrize("back", [False, True])
def test_the_clusters_own_password_is_said_to_be_its_own(wire: Wire, api: KubernetesApi, back: bool) -> None:
    """E19."""
    _source(wire, there=False)
    _secrets(wire, "data", postgres_prod_recovered_app="keeper:own")
    ((password, whose),) = _tried(api, back=back)
    assert password == "own"
    assert whose.startswith(f"Secret {OWN} of postgres-prod-recovered itself")


def test_without_any_secret_the_step_fails(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    _source(wire, there=False)
    _secrets(wire, "data", postgres_prod_recovered_app=None)
    with pytest.raises(StepFailedError, match=OWN):
        _tried(api)
