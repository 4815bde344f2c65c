"""The Deployments that write to the database, and the Services and Secrets around it."""

from threading import Event
from typing import Any

import pytest

from dr.core.errors import AccessError, InterruptedOperationError, StepFailedError
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY, CopiedSecret
from dr.kube.workloads import (
    await_ready,
    await_stopped,
    copied_authority,
    copy_authority,
    copy_credentials,
    external_name,
    name_and_labels,
    read_deployment,
    scale,
)
from tests.support.doubles import REVIEWS, Impatient, Wire, kube_status

DEPLOYMENT = "/apis/apps/v1/namespaces/prod/deployments/api"
SECRETS = "/api/v1/namespaces/data/secrets"


def _deployment(**metadata: object) -> dict[str, Any]:
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "api", "tier": "web"}}, "template": {}}
    return {"metadata": {"name": "api", **metadata}, "spec": spec}


def test_a_deployment_is_read_with_the_selector_of_its_pods(wire: Wire, api: KubernetesApi) -> None:
    wire.on(DEPLOYMENT, _deployment())
    workload = read_deployment(api, "prod", "api")
    assert workload is not None
    assert (workload.replicas, workload.selector, workload.argo_managed) == (3, "app=api,tier=web", False)


def test_labels_are_read_from_the_deployment_and_the_service(wire: Wire, api: KubernetesApi) -> None:
    """E29."""
    labels = {"kustomize.toolkit.fluxcd.io/name": "shop"}
    wire.on(DEPLOYMENT, _deployment(labels=labels))
    workload = read_deployment(api, "prod", "api")
    assert workload is not None
    assert workload.labels == labels
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {"labels": labels}, "spec": {}})
    assert name_and_labels(api, "data", "prod-postgres") == ("", labels)
    assert len([asked for asked in wire.asked if "/services/" in asked.path]) == 1
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": "db.test"}})
    assert name_and_labels(api, "data", "prod-postgres") == ("db.test", {})


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
    with pytest.raises(StepFailedError) as refused:
        await_stopped(api, "prod", {"api": "app=api"}, limit=0, stop=Event())
    assert refused.value.code == "writers-still-running"
    assert "api" in refused.value.cause


def test_waiting_for_pods_ends_when_told_to_stop(wire: Wire, api: KubernetesApi) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(InterruptedOperationError, match="the pods of api to end"):
        await_stopped(api, "prod", {"api": "app=api"}, limit=600, stop=stop)
    assert wire.asked == []


def _rolling(wire: Wire, name: str, **status: int) -> None:
    """A Deployment of 3 in a roll-out; without ``status`` it has ended."""
    done = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
    body = {**_deployment(name=name, generation=2), "status": {**done, **status}}
    wire.on(f"/apis/apps/v1/namespaces/prod/deployments/{name}", body)


def test_deployments_that_have_rolled_out_are_not_waited_for(wire: Wire, api: KubernetesApi) -> None:
    _rolling(wire, "api")
    _rolling(wire, "worker")
    await_ready(api, "prod", ["api", "worker"], limit=0, stop=Event())
    assert len(wire.asked) == 2


def test_a_deployment_that_is_wanted_at_zero_is_ready_without_pods(wire: Wire, api: KubernetesApi) -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "api"}}, "template": {}}
    metadata = {"name": "api", "generation": 1}
    wire.on(DEPLOYMENT, {"metadata": metadata, "spec": spec, "status": {"observedGeneration": 1}})
    await_ready(api, "prod", ["api"], limit=0, stop=Event())


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1},
        {"updatedReplicas": 2},
        {"availableReplicas": 2},
        {"replicas": 4},
    ],
    ids=["change not seen yet", "old template", "not available", "old pods left"],
)
def test_a_deployment_that_still_rolls_out_is_not_ready(wire: Wire, api: KubernetesApi, status: dict[str, int]) -> None:
    _rolling(wire, "api", **status)
    _rolling(wire, "worker")
    with pytest.raises(StepFailedError) as failed:
        await_ready(api, "prod", ["worker", "api"], limit=0, stop=Event())
    assert failed.value.code == "writers-not-ready"
    assert failed.value.cause.startswith("api in prod")


def test_a_status_of_before_the_first_pod_is_not_ready(wire: Wire, api: KubernetesApi) -> None:
    wire.on(DEPLOYMENT, {**_deployment(generation=2), "status": {}})
    with pytest.raises(StepFailedError):
        await_ready(api, "prod", ["api"], limit=0, stop=Event())


def test_only_those_that_are_not_ready_are_asked_again(wire: Wire, api: KubernetesApi) -> None:
    _rolling(wire, "api", availableReplicas=0)
    _rolling(wire, "worker")
    await_ready(api, "prod", ["worker", "api"], limit=60, stop=Impatient(lambda _: _rolling(wire, "api")))
    assert [asked.path.rsplit("/", 1)[1] for asked in wire.asked] == ["worker", "api", "api"]


def test_a_deployment_that_is_gone_is_told_as_such(wire: Wire, api: KubernetesApi) -> None:
    wire.on(DEPLOYMENT, kube_status(404, "not found", name="api"), status=404)
    with pytest.raises(AccessError) as failed:
        await_ready(api, "prod", ["api"], limit=60, stop=Event())
    assert failed.value.code == "not-found"


def test_waiting_for_readiness_ends_when_told_to_stop(wire: Wire, api: KubernetesApi) -> None:
    _rolling(wire, "api", availableReplicas=0)
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match="api to become ready"):
        await_ready(api, "prod", ["api"], limit=600, stop=stop)
    assert len(stop.waited) == 1


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
    assert copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=False) == "made"
    (posted,) = wire.received("POST")
    assert posted.body["type"] == "kubernetes.io/basic-auth"
    assert posted.body["data"] == {"username": "a2VlcGVy", "password": "c2VjcmV0"}
    assert "ownerReferences" not in posted.body["metadata"], "it would go with the old Cluster"


def test_credentials_that_are_there_are_left_as_they_are(wire: Wire, api: KubernetesApi) -> None:
    _secret(wire, "shop-owner", username="YQ==", password="Yg==")
    _secret(wire, "new-app", username="YQ==", password="Yg==")
    assert copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=True) == "was there"
    assert wire.received("POST") == []


def _old_copy(wire: Wire, **labels: str) -> None:
    _secret(wire, "shop-owner", username="YQ==", password="Yg==")
    data = {"username": "YQ==", "password": "Yw=="}
    wire.on(f"{SECRETS}/new-app", {"metadata": {"name": "new-app", "labels": labels}, "data": data})


def test_an_old_copy_gets_the_password_that_the_source_has_now(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    _old_copy(wire, **MANAGED_BY)
    wire.on(f"{SECRETS}/new-app", {}, method="PATCH")
    done = copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=False)
    assert done == "was an old copy, and is written again"
    (patched,) = wire.received("PATCH")
    assert patched.body == {"data": {"username": "YQ==", "password": "Yg=="}}
    (asked,) = (one for one in wire.received("POST") if one.path == REVIEWS)
    assert asked.body["spec"]["resourceAttributes"]["name"] == "new-app", "the roles allow it for such names only"


def test_an_old_copy_that_this_user_may_not_change_is_refused(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    _old_copy(wire, **MANAGED_BY)
    wire.on(REVIEWS, {"spec": {}, "status": {"allowed": False}}, method="POST", status=201)
    with pytest.raises(StepFailedError, match="may not change it"):
        copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=False)
    assert wire.received("PATCH") == []


@pytest.mark.parametrize(("labels", "in_use"), [({}, False), ({}, True), (MANAGED_BY, True)])
def test_another_password_that_is_not_ours_to_change_is_refused(
    wire: Wire, api: KubernetesApi, labels: dict[str, str], in_use: bool
) -> None:
    """E19."""
    _old_copy(wire, **labels)
    with pytest.raises(StepFailedError) as failed:
        copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=in_use)
    assert failed.value.code == "secret-differs"
    assert wire.received("PATCH") == []


CA = {"ca.crt": "Y3J0", "ca.key": "a2V5"}


def test_the_ca_is_copied_to_where_cloudnativepg_looks_for_one(wire: Wire, api: KubernetesApi) -> None:
    """E20: ``ensureCASecret`` takes what is there, and renews it as its own."""
    _secret(wire, "old-ca", **CA)
    wire.on(f"{SECRETS}/new-ca", kube_status(404, "not found", name="new-ca"), status=404)
    wire.on(SECRETS, {}, method="POST", status=201)
    assert copied_authority(api, "data", source="old-ca", name="new-ca") is CopiedSecret.MISSING
    assert copy_authority(api, "data", source="old-ca", name="new-ca", in_use=False) == "made"
    (posted,) = wire.received("POST")
    assert (posted.body["type"], posted.body["data"]) == ("Opaque", CA)


def test_a_ca_that_was_renewed_is_the_same(wire: Wire, api: KubernetesApi) -> None:
    """E20."""
    _secret(wire, "old-ca", **CA)
    _secret(wire, "new-ca", **{**CA, "ca.crt": "bmV3"})
    assert copied_authority(api, "data", source="old-ca", name="new-ca") is CopiedSecret.SAME
    assert copy_authority(api, "data", source="old-ca", name="new-ca", in_use=True) == "was there"


@pytest.mark.parametrize("in_use", [True, False])
def test_another_ca_that_is_not_ours_stays(wire: Wire, api: KubernetesApi, *, in_use: bool) -> None:
    """E20: its Cluster's certificates are made by it."""
    _secret(wire, "old-ca", **CA)
    _secret(wire, "new-ca", **{**CA, "ca.key": "b3RoZXI="})
    assert copied_authority(api, "data", source="old-ca", name="new-ca") is CopiedSecret.FOREIGN
    assert copy_authority(api, "data", source="old-ca", name="new-ca", in_use=in_use) == "has another CA than old-ca"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (kube_status(404, "not found", name="old-ca"), 404),
        (kube_status(403, "forbidden", name="old-ca"), 403),
        ({"metadata": {"name": "old-ca"}, "data": {"ca.crt": "Y3J0"}}, 200),
    ],
    ids=["gone", "forbidden", "without its key"],
)
def test_where_there_is_no_ca_to_copy_it_is_said(
    wire: Wire, api: KubernetesApi, body: dict[str, object], status: int
) -> None:
    """E20."""
    wire.on(f"{SECRETS}/old-ca", body, status=status)
    assert copied_authority(api, "data", source="old-ca", name="new-ca") is None
    assert "no CA that can be read" in copy_authority(api, "data", source="old-ca", name="new-ca", in_use=False)


def test_the_secrets_that_a_deployments_containers_have_are_known(wire: Wire, api: KubernetesApi) -> None:
    """E19."""
    deployment = _deployment()
    spec = {
        "containers": [
            {"name": "api", "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "shop-owner", "key": "p"}}}]},
            {"name": "b", "env": [{"name": "X", "value": "1"}], "envFrom": [{"secretRef": {"name": "all"}}]},
        ],
        "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "no"}}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "files"}}, {"name": "w", "emptyDir": {}}],
    }
    deployment["spec"]["template"] = {"spec": spec}
    wire.on(DEPLOYMENT, deployment)
    workload = read_deployment(api, "prod", "api")
    assert workload is not None
    assert workload.secrets == ("all", "files", "shop-owner")


def test_credentials_without_a_password_are_refused(wire: Wire, api: KubernetesApi) -> None:
    _secret(wire, "shop-owner", username="YQ==")
    wire.on(f"{SECRETS}/new-app", kube_status(404, "not found", name="new-app"), status=404)
    with pytest.raises(StepFailedError, match="password"):
        copy_credentials(api, "data", source="shop-owner", name="new-app", in_use=False)
