"""The Deployments that write to the database, and the Services and Secrets around it."""

from threading import Event

import pytest

from dr.clients.kubernetes import KubernetesApi
from dr.clients.workloads import await_stopped, copy_credentials, external_name, read_deployment, scale
from dr.model.errors import AccessError
from tests.doubles import Wire, kube_status

DEPLOYMENT = "/apis/apps/v1/namespaces/prod/deployments/api"
SECRETS = "/api/v1/namespaces/data/secrets"


def _deployment(**metadata: object) -> dict[str, object]:
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "api", "tier": "web"}}, "template": {}}
    return {"metadata": {"name": "api", **metadata}, "spec": spec}


def test_a_deployment_is_read_with_the_selector_of_its_pods(wire: Wire, api: KubernetesApi) -> None:
    wire.on(DEPLOYMENT, _deployment())
    workload = read_deployment(api, "prod", "api")
    assert workload is not None
    assert (workload.replicas, workload.selector, workload.argo_managed) == (3, "app=api,tier=web", False)


@pytest.mark.parametrize(
    "metadata",
    [{"annotations": {"argocd.argoproj.io/tracking-id": "x"}}, {"labels": {"argocd.argoproj.io/instance": "x"}}],
    ids=["annotation", "label"],
)
def test_argo_cds_marks_are_seen(wire: Wire, api: KubernetesApi, metadata: dict[str, object]) -> None:
    wire.on(DEPLOYMENT, _deployment(**metadata))
    workload = read_deployment(api, "prod", "api")
    assert workload is not None
    assert workload.argo_managed


def test_scaling_patches_the_count_and_nothing_else(wire: Wire, api: KubernetesApi) -> None:
    wire.on(f"{DEPLOYMENT}/scale", {"metadata": {"name": "api"}}, method="PATCH")
    scale(api, "prod", "api", 0)
    (patched,) = wire.received("PATCH")
    assert patched.body == {"spec": {"replicas": 0}}


def _pods(wire: Wire, *phases: str) -> None:
    pods = [{"metadata": {"name": f"pod-{n}"}, "status": {"phase": phase}} for n, phase in enumerate(phases)]
    wire.on("/api/v1/namespaces/prod/pods", {"items": pods})


def test_pods_that_have_ended_are_not_waited_for(wire: Wire, api: KubernetesApi) -> None:
    _pods(wire, "Succeeded", "Failed")
    await_stopped(api, "prod", {"api": "app=api"}, limit=30, stop=Event())
    assert wire.asked[0].query["labelSelector"] == "app=api"


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_that_may_still_write_is_not_let_pass(wire: Wire, api: KubernetesApi, phase: str) -> None:
    _pods(wire, "Succeeded", phase)
    with pytest.raises(AccessError) as refused:
        await_stopped(api, "prod", {"api": "app=api"}, limit=0, stop=Event())
    assert refused.value.code == "writers-still-running"
    assert "api" in refused.value.cause


def test_waiting_for_pods_ends_when_told_to_stop(wire: Wire, api: KubernetesApi) -> None:
    stop = Event()
    stop.set()
    await_stopped(api, "prod", {"api": "app=api"}, limit=600, stop=stop)
    assert wire.asked == []


@pytest.mark.parametrize(("spec", "name"), [({"externalName": "db.test"}, "db.test"), ({"clusterIP": "10.0.0.1"}, "")])
def test_the_external_name_of_a_service_is_read(
    wire: Wire, api: KubernetesApi, spec: dict[str, str], name: str
) -> None:
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": spec})
    assert external_name(api, "data", "prod-postgres") == name


def _secret(wire: Wire, name: str, **data: str) -> None:
    wire.on(f"{SECRETS}/{name}", {"metadata": {"name": name}, "data": data})


def test_credentials_are_copied_without_the_sources_host(wire: Wire, api: KubernetesApi) -> None:
    _secret(wire, "shop-owner", username="a2VlcGVy", password="c2VjcmV0", host="b2xk", uri="b2xk")
    wire.on(f"{SECRETS}/new-app", kube_status(404, "not found", name="new-app"), status=404)
    wire.on(SECRETS, {}, method="POST", status=201)
    assert copy_credentials(api, "data", source="shop-owner", name="new-app")
    (posted,) = wire.received("POST")
    assert posted.body["type"] == "kubernetes.io/basic-auth"
    assert posted.body["data"] == {"username": "a2VlcGVy", "password": "c2VjcmV0"}
    assert "ownerReferences" not in posted.body["metadata"], "it would go with the old Cluster"


def test_credentials_that_are_there_are_left_as_they_are(wire: Wire, api: KubernetesApi) -> None:
    _secret(wire, "shop-owner", username="YQ==", password="Yg==")
    _secret(wire, "new-app", username="YQ==", password="Yw==")
    assert not copy_credentials(api, "data", source="shop-owner", name="new-app")
    assert wire.received("POST") == []


def test_credentials_without_a_password_are_refused(wire: Wire, api: KubernetesApi) -> None:
    _secret(wire, "shop-owner", username="YQ==")
    wire.on(f"{SECRETS}/new-app", kube_status(404, "not found", name="new-app"), status=404)
    with pytest.raises(AccessError, match="password"):
        copy_credentials(api, "data", source="shop-owner", name="new-app")
