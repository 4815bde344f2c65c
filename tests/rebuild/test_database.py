"""The database of a rebuilt platform: waited for, judged, and kept away from the archive."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dr.core.errors import AccessError, RecoveryError, VerificationError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.rebuild.data_origin import Origin
from dr.rebuild.database import SKIPS_CHECK, DatabaseFound, find_database
from dr.rebuild.layers import Watch
from dr.run.session import Session
from tests.support.archives import archive, at, backup, put_backup, put_wal, wal
from tests.support.builders import NOW, a_holder, an_environment, cluster_object
from tests.support.doubles import Impatient, ObjectStoreDouble, RanInPod, Wire, in_pods, kube_status, said

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
CLUSTER = f"{CLUSTERS}/postgres-prod"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
SECRET = "/api/v1/namespaces/data/secrets/shop-owner"
SERVER = "postgres-prod"
ARCHIVE = archive(backup(3), files=wal(range(3, 10)))
OURS, FRESH = "7575757575757575757", "1"


def _fresh(**changes: Any) -> dict[str, Any]:
    """The Cluster that Git declares, as it has just come up: younger than the archive, which it cannot archive to."""
    found = cluster_object()
    found["metadata"] |= {"creationTimestamp": at(300).isoformat(), **changes}
    return found


def _answering(
    system_id: str, timeline: int = 1, users: int = 0, *, lsn: str = "0/5000000", history: str = ""
) -> Callable[[RanInPod], Ran]:
    def answer(ran: RanInPod) -> Ran:
        if any("system_identifier" in word for word in ran.command):
            return said(f"{system_id}\n{timeline}\n{lsn}\n{history}\n")
        return said(f"{users}\nf\n")

    return answer


@pytest.fixture
def platform(own_home: Path, wire: Wire, store: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Argo CD has brought everything, and the database is a fresh one; the archive is as it was."""
    external_name = "postgres-prod-rw.data.svc.cluster.local"
    wire.on(SERVICE, {"metadata": {}, "spec": {"type": "ExternalName", "externalName": external_name}})
    wire.on(CLUSTER, _fresh())
    wire.on(CLUSTER, _fresh(), method="PATCH")
    wire.on(SECRET, {"metadata": {}, "data": {}})
    for name in ("api", "worker"):
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": {}}
        wire.on(f"/apis/apps/v1/namespaces/prod/deployments/{name}", {"metadata": {"name": name}, "spec": spec})
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, ARCHIVE.files)
    in_pods(monkeypatch, _answering(FRESH))
    return wire


def _find(api: KubernetesApi, stop: Impatient | None = None, **environment: Any) -> DatabaseFound:
    waiting = stop or Impatient()
    session = Session(environment=an_environment(**environment), api=api, holder=a_holder(), stop=waiting)
    return find_database(session, ARCHIVE, Watch(stop=waiting, say=lambda _: None), known={"users": "5"})


def test_a_database_that_was_made_anew_is_told_from_the_lost_one(platform: Wire, api: KubernetesApi) -> None:
    found = _find(api)
    assert (found.verdict.origin, found.fenced) == (Origin.FRESH, False)
    assert "users 0, last known 5" in found.verdict.evidence
    assert platform.received("PATCH") == []


def test_a_database_with_the_lost_ones_identifier_and_all_its_wal_is_restored(
    platform: Wire, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = "1\t0/9FFFFA0\tno recovery target specified"
    in_pods(monkeypatch, _answering(OURS, timeline=2, users=5, lsn="0/B000060", history=history))
    assert _find(api).verdict.origin is Origin.RESTORED


OLDER = _answering(OURS, timeline=2, users=3, lsn="0/B000060", history="1\t0/4000100\tbefore 2026-04-20 00:40:00+00")


def test_a_database_with_the_lost_ones_identifier_and_an_older_state_is_not_restored(
    platform: Wire, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E4."""
    in_pods(monkeypatch, OLDER)
    assert _find(api).verdict.origin is Origin.STALE


def test_an_older_state_that_has_written_into_the_archive_ends_it_without_a_fence(
    platform: Wire, api: KubernetesApi, store: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E4: it may be the one that has served all along."""
    in_pods(monkeypatch, OLDER)
    put_wal(store, SERVER, {"000000020000000000000004": at(301)})
    with pytest.raises(VerificationError) as raised:
        _find(api)
    assert raised.value.code == "archive-written"
    assert raised.value.remedy.startswith("it was not fenced")
    assert platform.received("PATCH") == []


def test_a_database_that_does_not_answer_is_not_known(
    platform: Wire, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pods(monkeypatch, lambda _: AccessError("sql-failed", "no", "no"))
    assert _find(api).verdict.origin is Origin.UNKNOWN


def test_it_waits_until_argo_cd_has_brought_all_that_a_recovery_needs(platform: Wire, api: KubernetesApi) -> None:
    # GIVEN no CRD, then no Cluster, then no Service, then no Deployment, then a Cluster that sets itself up
    setting_up = _fresh()
    setting_up["status"] = {"phase": "Setting up primary"}
    worker = "/apis/apps/v1/namespaces/prod/deployments/worker"
    deployment, service = platform.answers.pop(("GET", worker)), platform.answers.pop(("GET", SERVICE))
    nothing = (404, b"404 page not found\n")
    for path in (SERVICE, worker):
        platform.on(path, kube_status(404, "not found", name="x"), status=404)
    platform.answers["GET", CLUSTER] = nothing
    steps: list[Callable[[], None]] = [
        lambda: platform.on(CLUSTER, kube_status(404, "not found", name="x"), status=404),
        lambda: platform.answers.update({("GET", SERVICE): service}),
        lambda: platform.on(CLUSTER, setting_up),
        lambda: platform.answers.update({("GET", worker): deployment}),
        lambda: platform.on(CLUSTER, _fresh()),
    ]
    platform.on("/api/v1/namespaces/data/pods", {"items": []})
    # WHEN each comes in its time
    stop = Impatient(lambda waited: steps[waited]())
    # THEN it is found at the end, and not before
    assert _find(api, stop).cluster.healthy
    assert len(stop.waited) == 5


def test_a_cluster_that_is_not_healthy_in_time_is_taken_as_it_is(platform: Wire, api: KubernetesApi) -> None:
    stuck = _fresh()
    stuck["status"] = {"phase": "Setting up primary"}
    platform.on(CLUSTER, stuck)
    platform.on("/api/v1/namespaces/data/pods", {"items": []})
    found = _find(api, timeouts={"rebuildMinutes": 0.000001})
    assert (found.cluster.phase, found.verdict.origin) == ("Setting up primary", Origin.UNKNOWN)


def test_a_cluster_that_nobody_declares_in_time_is_told(platform: Wire, api: KubernetesApi) -> None:
    platform.on(CLUSTER, kube_status(404, "not found", name="x"), status=404)
    with pytest.raises(RecoveryError) as raised:
        _find(api, timeouts={"rebuildMinutes": 0.000001})
    assert raised.value.code == "database-missing"


def test_the_cluster_that_git_points_to_is_the_one(platform: Wire, api: KubernetesApi) -> None:
    name = "postgres-prod-recovered"
    host = f"{name}-rw.data.svc.cluster.local"
    platform.on(SERVICE, {"metadata": {}, "spec": {"type": "ExternalName", "externalName": host}})
    platform.on(f"{CLUSTERS}/{name}", {**_fresh(), "metadata": {**_fresh()["metadata"], "name": name}})
    assert _find(api).cluster.name == name


def _archiving_elsewhere() -> dict[str, Any]:
    elsewhere = _fresh()
    elsewhere["spec"]["backup"]["barmanObjectStore"]["destinationPath"] = "gs://backups-of-another-region/prod"
    return elsewhere


def test_a_git_that_is_corrected_meanwhile_is_waited_for(platform: Wire, api: KubernetesApi) -> None:
    platform.on(CLUSTER, _archiving_elsewhere())
    stop = Impatient(lambda _: platform.on(CLUSTER, _fresh()))
    assert _find(api, stop).cluster.healthy
    assert len(stop.waited) == 1


def test_a_cluster_that_is_to_archive_to_another_bucket_ends_it(platform: Wire, api: KubernetesApi) -> None:
    platform.on(CLUSTER, _archiving_elsewhere())
    with pytest.raises(RecoveryError) as error:
        _find(api, timeouts={"rebuildMinutes": 0.000001})
    assert error.value.code == "git-names-another-bucket"
    assert "gs://backups-of-another-region/prod" in error.value.cause
    assert "destinationPath" in error.value.remedy


def test_a_cluster_that_skips_the_check_of_its_archive_is_fenced_the_moment_it_is_seen(
    platform: Wire, api: KubernetesApi
) -> None:
    young = _fresh(annotations={SKIPS_CHECK: "enabled"})
    young["status"] = {}
    platform.on(CLUSTER, young)
    found = _find(api)
    assert found.fenced
    (patch,) = platform.received("PATCH")
    assert patch.body == {"metadata": {"annotations": {"cnpg.io/fencedInstances": '["*"]'}}}


def test_a_cluster_that_has_written_into_the_archive_is_fenced_and_ends_it(
    platform: Wire, api: KubernetesApi, store: ObjectStoreDouble
) -> None:
    put_wal(store, SERVER, {"000000010000000000000004": at(301)})
    with pytest.raises(VerificationError) as raised:
        _find(api)
    assert raised.value.code == "archive-written"
    assert "000000010000000000000004" in raised.value.cause
    assert len(platform.received("PATCH")) == 1


def test_what_was_archived_before_it_was_made_is_no_writing(platform: Wire, api: KubernetesApi) -> None:
    assert at(90) + timedelta(seconds=10) < at(300) < NOW
    assert _find(api).verdict.origin is Origin.FRESH
