"""A first base backup, at a double of the Kubernetes API."""

from threading import Event

import pytest

from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError, StepFailedError
from dr.kube.api import KubernetesApi
from tests.support.builders import a_plugin_source, a_recovered, a_source, object_of
from tests.support.doubles import Impatient, Wire, kube_status

BACKUPS = "/apis/postgresql.cnpg.io/v1/namespaces/data/backups"
FIRST = f"{BACKUPS}/postgres-prod-first"


def _backup(**status: str) -> dict[str, object]:
    return {"metadata": {"name": "postgres-prod-first"}, "status": status}


def _take(api: KubernetesApi) -> str:
    return take_first_backup(api, a_source(), limit=0, stop=Event(), say=print)


def test_one_that_was_taken_is_enough(wire: Wire, api: KubernetesApi) -> None:
    wire.on(FIRST, _backup(phase="completed", backupId="20260427T100000"))
    assert _take(api) == "base backup 20260427T100000"
    assert wire.received("POST") == []


def test_one_of_an_earlier_cluster_of_the_same_name_does_not_count(wire: Wire, api: KubernetesApi) -> None:
    # GIVEN a Cluster with an archive of its own, and the Backup of the one before it, into another archive
    cluster = ClusterSnapshot.from_object(object_of(a_recovered("postgres-prod", "postgres-prod-2")))
    wire.on(FIRST, _backup(phase="completed", backupId="20260427T100000"))
    wire.on(f"{BACKUPS}/postgres-prod-2-first", kube_status(404, "not found", name="x"), status=404)
    wire.on(BACKUPS, _backup(), method="POST")
    # WHEN
    with pytest.raises(AccessError):
        take_first_backup(api, cluster, limit=0, stop=Event(), say=print)
    # THEN
    (asked,) = wire.received("POST")
    assert asked.body["metadata"]["name"] == "postgres-prod-2-first"
    assert asked.body["spec"]["cluster"] == {"name": "postgres-prod"}


def test_without_one_it_is_asked_for_of_the_cluster_itself(wire: Wire, api: KubernetesApi) -> None:
    wire.on(FIRST, kube_status(404, "not found", name="postgres-prod-first"), status=404)
    wire.on(BACKUPS, _backup(), method="POST")
    with pytest.raises(AccessError):
        _take(api)
    (asked,) = wire.received("POST")
    assert asked.body["spec"] == {"cluster": {"name": "postgres-prod"}, "method": "barmanObjectStore"}


def test_of_a_cluster_that_archives_by_the_plugin_it_is_taken_by_the_plugin(wire: Wire, api: KubernetesApi) -> None:
    wire.on(FIRST, kube_status(404, "not found", name="postgres-prod-first"), status=404)
    wire.on(BACKUPS, _backup(), method="POST")
    with pytest.raises(AccessError):
        take_first_backup(api, a_plugin_source(), limit=0, stop=Event(), say=print)
    (asked,) = wire.received("POST")
    assert asked.body["spec"] == {
        "cluster": {"name": "postgres-prod"},
        "method": "plugin",
        "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
    }


@pytest.mark.parametrize(
    ("status", "why"),
    [({"phase": "failed", "error": "403 from the bucket"}, "403 from the bucket"), ({"phase": "running"}, "running")],
)
def test_one_that_fails_or_does_not_end_is_told(
    wire: Wire, api: KubernetesApi, status: dict[str, str], why: str
) -> None:
    wire.on(FIRST, _backup(**status))
    with pytest.raises(StepFailedError, match=why) as failed:
        _take(api)
    assert failed.value.code == "backup-failed"


def test_what_it_waits_for_is_told(wire: Wire, api: KubernetesApi) -> None:
    # GIVEN CloudNativePG's one worker at another Cluster's Backup, which cannot archive
    def other(name: str, phase: str) -> dict[str, object]:
        return {"metadata": {"name": name}, "spec": {"cluster": {"name": "postgres-dev"}}, "status": {"phase": phase}}

    wire.on(BACKUPS, {"items": [other("earlier", "completed"), other("immediate", "walArchivingFailing"), _backup()]})
    wire.on(FIRST, _backup())
    steps = [
        lambda: wire.on(FIRST, _backup(phase="running")),
        lambda: wire.on(FIRST, _backup(phase="completed", backupId="20260427T100000")),
    ]
    stop, told = Impatient(lambda waited: steps[waited]()), list[str]()
    # WHEN
    taken = take_first_backup(api, a_source(), limit=60, stop=stop, say=told.append)
    # THEN
    assert taken == "base backup 20260427T100000"
    before = ", as CloudNativePG is at immediate of postgres-dev (walArchivingFailing)"
    assert told == [
        f"the Backup postgres-prod-first is pending{before}; waiting for it at most 60 s",
        "the Backup postgres-prod-first is running; waiting for it at most 60 s",
    ]


def test_one_that_waits_for_another_clusters_is_left_to_cloudnativepg_where_that_is_enough(
    wire: Wire, api: KubernetesApi
) -> None:
    busy = {
        "metadata": {"name": "immediate"},
        "spec": {"cluster": {"name": "postgres-dev"}},
        "status": {"phase": "started"},
    }
    wire.on(BACKUPS, {"items": [busy, _backup()]})
    wire.on(FIRST, _backup())
    came = take_first_backup(api, a_source(), limit=60, stop=Impatient(), say=print, patience=0)
    assert came.startswith(
        "the Backup postgres-prod-first is pending, as CloudNativePG is at immediate of postgres-dev"
    )
    assert came.endswith("CloudNativePG takes it without another command")


def test_one_that_has_begun_is_seen_to_its_end(wire: Wire, api: KubernetesApi) -> None:
    wire.on(FIRST, _backup(phase="running"))
    stop = Impatient(lambda _: wire.on(FIRST, _backup(phase="completed", backupId="20260427T100000")))
    came = take_first_backup(api, a_source(), limit=60, stop=stop, say=print, patience=0)
    assert came == "base backup 20260427T100000"
