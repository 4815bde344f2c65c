"""The Barman Cloud plugin and its ObjectStore, at a double of the Kubernetes API."""

from typing import Any

import pytest

from dr.cnpg.clusters import find_cluster, plugin_fault
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from tests.support.builders import BACKUP_URL, STORE_CONFIGURATION, by_plugin, cluster_object
from tests.support.doubles import Wire, kube_status

CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod"
STORE = "/apis/barmancloud.cnpg.io/v1/namespaces/data/objectstores/prod-store"
SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/cnpg-system/endpointslices"
SERVICE = {"metadata": {"name": "barman-cloud", "namespace": "cnpg-system"}}


def _slice(*ready: bool) -> dict[str, Any]:
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": one}} for one in ready]
    return {"metadata": {"name": "x"}, "addressType": "IPv4", "endpoints": endpoints or None}


def test_a_cluster_that_archives_by_the_plugin_comes_with_its_object_store(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, cluster_object(**by_plugin(serverName="seven")))
    wire.on(STORE, {"metadata": {"name": "prod-store"}, "spec": {"configuration": STORE_CONFIGURATION}})
    found = find_cluster(api, "data", "postgres-prod")
    assert found is not None
    assert found.store is not None
    assert (found.store.url, found.store.server_name) == (BACKUP_URL, "seven")


@pytest.mark.parametrize("body", [kube_status(404, "not found", name="prod-store"), b"404 page not found\n"], ids=str)
def test_without_the_object_store_or_its_kind_there_is_none(wire: Wire, api: KubernetesApi, body: object) -> None:
    wire.on(CLUSTER, cluster_object(**by_plugin()))
    wire.on(STORE, body, status=404)
    found = find_cluster(api, "data", "postgres-prod")
    assert found is not None
    assert (found.store, found.server_name) == (None, "postgres-prod")


def test_an_in_tree_cluster_asks_for_no_object_store(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, cluster_object())
    find_cluster(api, "data", "postgres-prod")
    assert [asked.path for asked in wire.asked] == [CLUSTER]


def test_a_plugin_with_a_ready_pod_is_there(wire: Wire, api: KubernetesApi) -> None:
    wire.on(SERVICES, {"items": [SERVICE]})
    wire.on(SLICES, {"items": [_slice(False), _slice(False, True)]})
    assert plugin_fault(api) == ""
    services, slices = wire.asked
    assert services.query["labelSelector"] == "cnpg.io/pluginName=barman-cloud.cloudnative-pg.io"
    assert slices.query["labelSelector"] == "kubernetes.io/service-name=barman-cloud"


@pytest.mark.parametrize("slices", [[], [_slice()], [_slice(False)]], ids=["none", "empty", "not ready"])
def test_a_plugin_without_a_ready_pod_is_not(wire: Wire, api: KubernetesApi, slices: list[Any]) -> None:
    wire.on(SERVICES, {"items": [SERVICE]})
    wire.on(SLICES, {"items": slices})
    assert plugin_fault(api) == "its Service cnpg-system/barman-cloud has no pod that is ready"


def test_a_plugin_that_is_not_installed_is_told(wire: Wire, api: KubernetesApi) -> None:
    wire.on(SERVICES, {"items": []})
    assert "not installed" in plugin_fault(api)


def test_who_may_not_look_is_not_refused_for_it(wire: Wire, api: KubernetesApi) -> None:
    wire.on(SERVICES, kube_status(403, "services is forbidden"), status=403)
    assert plugin_fault(api) == ""


def test_an_api_server_that_fails_is_an_error(wire: Wire, api: KubernetesApi) -> None:
    wire.on(SERVICES, kube_status(500, "etcd"), status=500)
    with pytest.raises(AccessError):
        plugin_fault(api)
