"""Whether a volume would be allowed, by a dry run at a double of the Kubernetes API."""

import pytest

from dr.cnpg.volumes import storage_class_exists, volume_refusal
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from tests.support.builders import a_source
from tests.support.doubles import Wire, kube_status

CLAIMS = "/api/v1/namespaces/data/persistentvolumeclaims"
QUOTA = 'persistentvolumeclaims "x" is forbidden: exceeded quota: small, requested: persistentvolumeclaims=1'
NO_RIGHT = 'persistentvolumeclaims is forbidden: User "ann" cannot create resource "persistentvolumeclaims"'


def test_every_volume_is_tried_as_a_dry_run(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLAIMS, {"metadata": {"name": "x"}}, method="POST")
    source = a_source(
        storage={"size": "10Gi", "storageClass": "fast"},
        walStorage={"size": "2Gi", "pvcTemplate": {"accessModes": ["ReadWriteOncePod"]}},
    )
    assert volume_refusal(api, source) == ""
    asked = wire.received("POST")
    assert [one.query["dryRun"] for one in asked] == ["All", "All"]
    assert [one.body["spec"] for one in asked] == [
        {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "10Gi"}},
            "storageClassName": "fast",
        },
        {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "2Gi"}}},
    ]


@pytest.mark.parametrize("status", [403, 422])
def test_a_refusal_is_told_in_the_api_servers_words(wire: Wire, api: KubernetesApi, status: int) -> None:
    wire.on(CLAIMS, kube_status(status, QUOTA), status=status, method="POST")
    assert QUOTA in volume_refusal(api, a_source())


@pytest.mark.parametrize(("status", "message"), [(403, NO_RIGHT), (500, "etcd is slow")])
def test_what_says_nothing_about_the_volume_is_no_refusal(
    wire: Wire, api: KubernetesApi, status: int, message: str
) -> None:
    wire.on(CLAIMS, kube_status(status, message), status=status, method="POST")
    assert volume_refusal(api, a_source()) == ""


def test_a_storage_class_is_there_or_not(wire: Wire, api: KubernetesApi) -> None:
    wire.on("/apis/storage.k8s.io/v1/storageclasses/fast", {"metadata": {"name": "fast"}, "provisioner": "x"})
    assert storage_class_exists(api, "fast")
    path = "/apis/storage.k8s.io/v1/storageclasses/slow"
    wire.on(path, kube_status(404, "not found", name="slow"), status=404)
    assert not storage_class_exists(api, "slow")


def test_a_dead_api_server_is_not_taken_for_a_missing_class(wire: Wire, api: KubernetesApi) -> None:
    wire.on("/apis/storage.k8s.io/v1/storageclasses/fast", kube_status(401, "no"), status=401)
    with pytest.raises(AccessError):
        storage_class_exists(api, "fast")
