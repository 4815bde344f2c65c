"""Scratch Clusters in Kubernetes: found by their mark, and never anything else deleted."""

import base64
from threading import Event
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.scratch import derive_scratch_cluster
from dr.cnpg.scratches import delete_scratch, list_scratches, make_scratch, note_loaded, superuser_password
from dr.config.names import DRILL
from dr.core.errors import AccessError, StepFailedError
from dr.kube.api import KubernetesApi
from tests.support.builders import TARGET, a_source, cluster_object
from tests.support.doubles import Impatient, Wire, kube_status

NAME = "postgres-prod-scratch"
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
CORE = "/api/v1/namespaces/data"
SERVICE = "prod-postgres"
LEFTOVERS = ("persistentvolumeclaims", "secrets", "pods")


def gone(wire: Wire) -> None:
    """Neither the Cluster nor anything of it is there."""
    wire.on(f"{CLUSTERS}/{NAME}", kube_status(404, "not found", name=NAME), status=404)
    wire.on(CLUSTERS, {"items": []})
    wire.on(f"{CORE}/services/{SERVICE}", kube_status(404, "not found", name=SERVICE), status=404)
    for kind in LEFTOVERS:
        wire.on(f"{CORE}/{kind}", {"items": []})


def marked(name: str = NAME, **labels: str) -> dict[str, Any]:
    """A scratch Cluster as the API returns it."""
    raw = cluster_object(name)
    raw["metadata"]["labels"] = {"postgres-dr/scratch": "true", **labels}
    return raw


def manifest() -> dict[str, Any]:
    source = a_source()
    assert source.store is not None
    return dict(derive_scratch_cluster(source, source.store, name=NAME, target=TARGET))


def test_they_are_listed_by_their_mark(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTERS, {"items": [marked()]})
    assert [cluster.name for cluster in list_scratches(api, "data")] == [NAME]
    assert wire.asked[-1].query["labelSelector"] == "postgres-dr/scratch=true"


def test_a_server_that_passes_the_selector_over_lists_no_live_cluster(wire: Wire, api: KubernetesApi) -> None:
    drill = marked(f"{NAME}-2", **{"postgres-dr/scratch": "drill", "postgres-dr/environment": "dev"})
    wire.on(CLUSTERS, {"items": [cluster_object("postgres-prod"), marked(), drill]})
    assert [cluster.name for cluster in list_scratches(api, "data")] == [NAME]
    assert [cluster.name for cluster in list_scratches(api, "data", DRILL, environment="dev")] == [f"{NAME}-2"]
    assert list_scratches(api, "data", DRILL, environment="prod") == []


def test_one_is_made_once(wire: Wire, api: KubernetesApi) -> None:
    gone(wire)
    wire.on(CLUSTERS, cluster_object(NAME), method="POST")
    assert make_scratch(api, manifest(), limit=1, stop=Event())
    assert wire.received("POST")[0].body == manifest()
    wire.on(f"{CLUSTERS}/{NAME}", cluster_object(NAME))
    assert not make_scratch(api, manifest(), limit=1, stop=Event())
    assert len(wire.received("POST")) == 1


def test_none_is_made_on_the_volume_of_an_earlier_one(wire: Wire, api: KubernetesApi) -> None:
    gone(wire)
    wire.on(f"{CORE}/persistentvolumeclaims", {"items": [{"metadata": {"name": f"{NAME}-1"}}]})
    with pytest.raises(StepFailedError) as failed:
        make_scratch(api, manifest(), limit=0, stop=Impatient())
    assert failed.value.code == "cluster-not-gone"
    assert wire.received("POST") == []


@pytest.mark.parametrize("kind", LEFTOVERS)
def test_it_is_gone_when_all_that_it_owned_is_gone(wire: Wire, api: KubernetesApi, kind: str) -> None:
    # GIVEN a scratch Cluster of which something stays for a while
    gone(wire)
    wire.on(CLUSTERS, {"items": [marked()]})
    wire.on(f"{CLUSTERS}/{NAME}", {}, method="DELETE")
    if kind != "persistentvolumeclaims":
        wire.on(f"{CORE}/{kind}", {"items": [{"metadata": {"name": "left"}}]})
    waits = Impatient(lambda _: wire.on(f"{CORE}/{kind}", {"items": []}))
    # WHEN
    assert delete_scratch(api, "data", NAME, service=SERVICE, limit=60, stop=waits)
    # THEN just this one was deleted, and what it owned was waited for
    (deleted,) = wire.received("DELETE")
    assert deleted.path == f"{CLUSTERS}/{NAME}"
    assert deleted.body["preconditions"] == {"uid": "b1c2"}
    assert len(waits.waited) == (kind != "persistentvolumeclaims")


def test_a_cluster_without_the_mark_is_left_alone_whatever_its_name(wire: Wire, api: KubernetesApi) -> None:
    gone(wire)
    wire.on(f"{CLUSTERS}/{NAME}", cluster_object(NAME))
    assert not delete_scratch(api, "data", NAME, service=SERVICE, limit=1, stop=Event())
    assert wire.received("DELETE") == []


def test_a_cluster_that_serves_is_left_alone_whatever_its_mark(wire: Wire, api: KubernetesApi) -> None:
    """E31."""
    wire.on(CLUSTERS, {"items": [marked()]})
    host = f"{NAME}-rw.data.svc.cluster.local"
    wire.on(f"{CORE}/services/{SERVICE}", {"metadata": {}, "spec": {"type": "ExternalName", "externalName": host}})
    with pytest.raises(AccessError) as refused:
        delete_scratch(api, "data", NAME, service=SERVICE, limit=1, stop=Event())
    assert refused.value.code == "scratch-serves"
    assert wire.received("DELETE") == []


def test_what_was_loaded_is_noted_at_the_scratch_cluster(wire: Wire, api: KubernetesApi) -> None:
    wire.on(f"{CLUSTERS}/{NAME}", cluster_object(NAME), method="PATCH")
    note_loaded(api, ClusterSnapshot.from_object(cluster_object(NAME)), "postgres_dr_1", 16400)
    (patched,) = wire.received("PATCH")
    assert patched.body == {"metadata": {"annotations": {"postgres-dr/loaded-postgres_dr_1": "16400"}}}


def test_the_superusers_password_is_waited_for(wire: Wire, api: KubernetesApi) -> None:
    path, name = f"{CORE}/secrets/{NAME}-superuser", f"{NAME}-superuser"
    scratch = ClusterSnapshot.from_object(cluster_object(NAME))
    wire.on(path, kube_status(404, "not found", name=name), status=404)
    secret = {"metadata": {"name": name}, "data": {"password": base64.b64encode(b"s").decode()}}
    waits = Impatient(lambda _: wire.on(path, secret))
    assert superuser_password(api, scratch, limit=60, stop=waits) == "s"
    assert len(waits.waited) == 1
    wire.on(path, kube_status(404, "not found", name=name), status=404)
    with pytest.raises(AccessError):
        superuser_password(api, scratch, limit=0, stop=Impatient())
