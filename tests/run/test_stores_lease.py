"""The Lease object, at a double of the Kubernetes API."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.run.stores import LeaseStore
from tests.support.builders import NOW, lease_object
from tests.support.doubles import KubernetesDouble, kube_status, serving

LEASES = "/apis/coordination.k8s.io/v1/namespaces/data/leases"
LEASE = f"{LEASES}/postgres-dr-prod"
DURATION = timedelta(seconds=15)


@pytest.fixture
def wire() -> Iterator[KubernetesDouble]:
    with serving(KubernetesDouble()) as wire:
        yield wire


@pytest.fixture
def store(api: KubernetesApi) -> LeaseStore:
    return LeaseStore(api, "data", "prod")


def test_before_the_first_operation_there_is_no_lease(store: LeaseStore) -> None:
    assert store.read() is None


def test_a_lease_reads_back_as_it_was_written(store: LeaseStore) -> None:
    assert store.write("ann@ops-1:7", NOW, DURATION, over=None)
    seen = store.read()
    assert seen is not None
    assert (seen.holder, seen.renewed, seen.duration) == ("ann@ops-1:7", NOW, DURATION)


def test_the_lease_says_who_made_it(wire: KubernetesDouble, store: LeaseStore) -> None:
    store.write("ann@ops-1:7", NOW, DURATION, over=None)
    assert wire.objects[LEASE]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "postgres-dr"}


def test_a_lease_is_given_back_by_an_empty_holder(store: LeaseStore) -> None:
    store.write("ann@ops-1:7", NOW, DURATION, over=None)
    assert store.write("", NOW, DURATION, over=store.read())
    seen = store.read()
    assert seen is not None
    assert seen.holder == ""


def test_a_lease_that_another_program_left_empty_is_nobodys(wire: KubernetesDouble, store: LeaseStore) -> None:
    wire.keep(LEASE, {"metadata": {"name": "postgres-dr-prod"}, "spec": {}})
    seen = store.read()
    assert seen is not None
    assert (seen.holder, seen.renewed, seen.duration) == ("", None, timedelta(0))


def test_a_lease_that_someone_created_meanwhile_is_not_overwritten(wire: KubernetesDouble, store: LeaseStore) -> None:
    wire.keep(LEASE, lease_object("bob@ops-2:8"))
    assert not store.write("ann@ops-1:7", NOW, DURATION, over=None)
    assert wire.objects[LEASE]["spec"]["holderIdentity"] == "bob@ops-2:8"


def test_a_lease_that_someone_changed_meanwhile_is_not_overwritten(wire: KubernetesDouble, store: LeaseStore) -> None:
    wire.keep(LEASE, lease_object(""))
    seen = store.read()
    wire.keep(LEASE, lease_object("bob@ops-2:8"))
    assert not store.write("ann@ops-1:7", NOW, DURATION, over=seen)
    assert wire.objects[LEASE]["spec"]["holderIdentity"] == "bob@ops-2:8"


def test_a_refusal_is_no_lost_race(wire: KubernetesDouble, store: LeaseStore) -> None:
    wire.on(LEASES, kube_status(403, "leases is forbidden"), status=403, method="POST")
    with pytest.raises(AccessError) as refused:
        store.write("ann@ops-1:7", NOW, DURATION, over=None)
    assert refused.value.code == "forbidden"
    assert "Lease data/postgres-dr-prod" in refused.value.cause


def test_a_lease_that_cannot_be_read_is_not_taken_for_a_free_one(wire: KubernetesDouble, store: LeaseStore) -> None:
    wire.on(LEASE, kube_status(500, "etcd is slow"), status=500)
    with pytest.raises(AccessError):
        store.read()
