"""CloudNativePG's objects: listed, judged to have given up, and only then deleted."""

from threading import Event
from typing import Any

import pytest

from dr.cnpg.cluster import UNRECOVERABLE_PHASE
from dr.cnpg.clusters import delete_given_up, find_cluster, gave_up, list_clusters
from dr.core.errors import StepFailedError
from dr.kube.api import KubernetesApi
from tests.support.builders import cluster_object
from tests.support.doubles import Asked, Wire, kube_status

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
PODS = "/api/v1/namespaces/data/pods"
VOLUMES = "/api/v1/namespaces/data/persistentvolumeclaims"


def _recovering(wire: Wire, *pods: str, phase: str = "Setting up primary", primary: str | None = None) -> None:
    raw: dict[str, Any] = cluster_object("new")
    raw["status"] = {"phase": phase, "currentPrimary": primary, "conditions": [{"type": "Ready", "status": "False"}]}
    wire.on(f"{CLUSTERS}/new", raw)
    found = [{"metadata": {"name": f"pod-{n}"}, "status": {"phase": each}} for n, each in enumerate(pods)]
    wire.on(PODS, {"items": found})


def _gave_up(api: KubernetesApi) -> bool:
    cluster = find_cluster(api, "data", "new")
    assert cluster is not None
    return gave_up(api, cluster)


def test_the_clusters_are_listed_oldest_first(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTERS, {"items": [cluster_object("b"), cluster_object("a")]})
    assert [cluster.name for cluster in list_clusters(api, "data")] == ["a", "b"]


def test_a_recovery_whose_attempts_all_failed_has_given_up(wire: Wire, api: KubernetesApi) -> None:
    _recovering(wire, "Failed", "Failed")
    assert _gave_up(api)
    asked = next(asked for asked in wire.asked if asked.path == PODS)
    assert asked.query["labelSelector"] == "cnpg.io/cluster=new,cnpg.io/jobRole in (full-recovery,snapshot-recovery)"


def test_an_unrecoverable_cluster_has_given_up_even_when_its_pods_are_gone(wire: Wire, api: KubernetesApi) -> None:
    _recovering(wire, phase=UNRECOVERABLE_PHASE)
    assert _gave_up(api)


@pytest.mark.parametrize("pods", [(), ("Failed", "Running"), ("Failed", "Pending"), ("Failed", "Succeeded")], ids=str)
def test_a_recovery_that_may_still_succeed_has_not_given_up(
    wire: Wire, api: KubernetesApi, pods: tuple[str, ...]
) -> None:
    _recovering(wire, *pods)
    assert not _gave_up(api)


@pytest.mark.parametrize("phase", ["Setting up primary", UNRECOVERABLE_PHASE])
def test_a_cluster_that_has_had_a_primary_is_never_given_up(wire: Wire, api: KubernetesApi, phase: str) -> None:
    _recovering(wire, "Failed", phase=phase, primary="new-1")
    assert not _gave_up(api)


class _Deleting(Wire):
    """Forgets the Cluster when it is told to delete it."""

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        if asked.method == "DELETE":
            self.on(asked.path, kube_status(404, "gone", name="new"), status=404)
            return 200, b"{}"
        return super().respond(asked)


def _delete(api: KubernetesApi) -> bool:
    return delete_given_up(api, "data", "new", limit=0, stop=Event())


def test_what_has_given_up_is_deleted_and_only_that_very_one(wire: Wire, api: KubernetesApi) -> None:
    # GIVEN
    wire.__class__ = _Deleting
    _recovering(wire, "Failed")
    wire.on(VOLUMES, {"items": []})
    # WHEN / THEN
    assert _delete(api)
    (deleted,) = wire.received("DELETE")
    assert deleted.path == f"{CLUSTERS}/new"
    assert deleted.body["preconditions"] == {"uid": "b1c2"}


def test_what_succeeded_meanwhile_is_not_deleted(wire: Wire, api: KubernetesApi) -> None:
    _recovering(wire, "Failed", "Succeeded")
    assert not _delete(api)
    assert wire.received("DELETE") == []


def test_what_is_not_there_is_not_deleted(wire: Wire, api: KubernetesApi) -> None:
    wire.on(f"{CLUSTERS}/new", kube_status(404, "no", name="new"), status=404)
    assert not _delete(api)
    assert wire.received("DELETE") == []


@pytest.mark.parametrize("left", ["cluster", "volume"])
def test_what_does_not_go_away_is_told(wire: Wire, api: KubernetesApi, left: str) -> None:
    _recovering(wire, "Failed")
    if left == "volume":
        wire.__class__ = _Deleting
    wire.on(f"{CLUSTERS}/new", {}, method="DELETE")
    wire.on(VOLUMES, {"items": [{"metadata": {"name": "new-1"}}] if left == "volume" else []})
    with pytest.raises(StepFailedError) as refused:
        _delete(api)
    assert refused.value.code == "cluster-not-gone"
