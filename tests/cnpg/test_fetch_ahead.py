"""How WAL is fetched while a Cluster recovers: when, by which specification, and that nothing of it stays."""

import json
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any, Self

import pytest

from dr.archive.contents import Archive
from dr.cnpg.fetch_ahead import (
    WORTH_SEGMENTS,
    Fetching,
    as_declared,
    fetching_for,
    hindrance,
    not_waited_for,
    segments_to_replay,
    with_program,
)
from dr.cnpg.fetch_ahead_program import bring_program, make_as_declared, remove_program
from dr.cnpg.progress import LogSeen, Observation
from dr.cnpg.recovered import RecoveredCluster
from dr.kube.api import KubernetesApi
from dr.recovery import scratch
from dr.recovery.plan import RecoveryDecision
from dr.recovery.run import Recovery
from dr.run.report_keeping import ReportData
from tests.support.archives import archive, backup, switch, wal
from tests.support.builders import (
    NOW,
    STORE_CONFIGURATION,
    a_decision,
    a_plugin_source,
    a_recovered,
    a_situation,
    a_source,
    an_environment,
    as_seen,
    by_plugin,
)
from tests.support.doubles import Wire, kube_status

CONFIG_MAPS = "/api/v1/namespaces/data/configmaps"
NAME = "postgres-prod-recovered-fetch-ahead"
CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod-recovered"


def _with(**spec: Any) -> RecoveredCluster:
    cluster = a_recovered()
    return replace(cluster, manifest={**cluster.manifest, "spec": {**cluster.manifest["spec"], **spec}})


def _with_segments(count: int) -> Archive:
    return archive(backup(3), files=wal(range(3, 3 + count)))


def _decision(count: int = WORTH_SEGMENTS, *, latest: bool = False, **situation: Any) -> RecoveryDecision:
    request = {"target": None} if latest else {}
    return a_decision(a_situation(archive=_with_segments(count), **situation), **request)


def _at_a_time(segment_size: int = 16 * 2**20, **spec: Any) -> int:
    base = backup(3, size=segment_size)
    held = archive(base, files=wal(range(3, 60), size=segment_size))
    fetching = fetching_for(_with(**spec).manifest, held, base, to_the_end=True)
    assert fetching is not None
    return fetching.at_a_time


def _absent(wire: Wire, path: str, *, method: str = "GET") -> None:
    wire.on(path, kube_status(404, "not found", name="x"), status=404, method=method)


def test_segments_are_counted_from_the_base_backup_on_along_the_way_that_postgresql_takes() -> None:
    # GIVEN a timeline that was left in segment 7, and one behind it
    files = {**wal(range(1, 10)), **wal(range(7, 12), timeline=2)}
    found = archive(backup(3), files=files, histories={2: (switch(1, 7.5),)})
    # THEN what was archived of the old one afterwards is not counted, and the segment of the switch once
    assert segments_to_replay(found, backup(3)) == len(range(3, 12))


def test_it_begins_where_it_pays() -> None:
    assert _decision(WORTH_SEGMENTS).fetching == Fetching(16)
    assert _decision(WORTH_SEGMENTS - 1).fetching is None


def test_a_recovery_to_the_end_always_waits_for_a_store_that_fails() -> None:
    """E1: PostgreSQL takes a failure for the end of the WAL, and only a target tells it that it is not."""
    assert _decision(WORTH_SEGMENTS, latest=True).fetching == Fetching(16)
    assert _decision(1, latest=True).fetching == Fetching(1)


@pytest.mark.parametrize("size", [64, 256, 1024])
def test_what_is_fetched_ahead_is_limited_in_bytes(size: int) -> None:
    """E25: 16 segments of 1 GiB would be 16 GiB of the pod's scratch volume."""
    assert _at_a_time(size * 2**20) == max(1, 256 // size)


@pytest.mark.parametrize(
    ("spec", "at_a_time"),
    [
        ({"resources": {"limits": {"ephemeral-storage": "512Mi"}}}, 8),
        ({"resources": {"limits": {"ephemeral-storage": "100Gi", "memory": "1Gi"}}}, 16),
        ({"ephemeralVolumesSizeLimit": {"temporaryData": "256Mi", "shm": "64Mi"}}, 4),
        ({"ephemeralVolumesSizeLimit": {"temporaryData": "100Mi"}}, 1),
        ({"ephemeralVolumesSizeLimit": {"temporaryData": "512e6"}}, 7),
        ({"ephemeralVolumesSizeLimit": {"temporaryData": "no quantity"}}, 1),
        ({"ephemeralVolumesSizeLimit": {"temporaryData": "1Gi"}, "resources": {"limits": {"ephemeral-storage": 0}}}, 1),
    ],
)
def test_what_is_fetched_ahead_stays_within_the_limits_of_the_pod(spec: dict[str, Any], at_a_time: int) -> None:
    """E25: the kubelet evicts a pod that outgrows them. Waiting needs no room."""
    assert _at_a_time(**spec) == at_a_time


def test_the_plan_says_how_much_there_is_and_that_it_is_fetched_ahead() -> None:
    plan = Recovery(_decision(30)).plan
    assert plan.facts["Base backup"].endswith("up to 30 WAL segments to replay")
    (step,) = [step for step in plan.steps if step.key == "recover"]
    assert step.detail().endswith("fetched ahead")


def test_a_cluster_that_is_there_already_goes_on_with_what_it_has() -> None:
    situation = a_situation(archive=_with_segments(30), recovered=as_seen(a_recovered(), healthy=False))
    assert a_decision(situation, go_on=True).fetching is None


def test_a_cluster_that_is_made_again_is_made_with_it() -> None:
    given_up = {"recovered": as_seen(a_recovered(), healthy=False), "recovered_gave_up": True}
    situation = a_situation(archive=_with_segments(30), **given_up)
    assert a_decision(situation, go_on=True).fetching == Fetching(16)


def test_what_is_recorded_and_declared_for_good_has_nothing_of_it() -> None:
    assert "projectedVolumeTemplate" not in json.dumps(dict(_decision().cluster.manifest))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"env": [{"name": "PYTHONPATH", "value": "/opt"}]}, "PYTHONPATH in spec.env"),
        ({"externalClusters": [{"name": "old", "plugin": {"name": "barman-cloud.cloudnative-pg.io"}}]}, "plugin"),
    ],
    ids=["env", "plugin"],
)
def test_where_something_stands_against_it_it_is_left_and_the_plan_warns(spec: dict[str, Any], why: str) -> None:
    """E1: what cannot be waited for is said where PostgreSQL would not notice."""
    assert hindrance(a_recovered().manifest["spec"]) == ""
    assert list(not_waited_for(a_recovered().manifest, to_the_end=True)) == []
    hindered = _with(**spec).manifest
    assert fetching_for(hindered, _with_segments(99), backup(3), to_the_end=True) is None
    (warning,) = not_waited_for(hindered, to_the_end=True)
    assert why in warning
    assert list(not_waited_for(hindered, to_the_end=False)) == []


def test_a_recovery_from_a_snapshot_waits_and_the_plan_warns_all_the_same() -> None:
    """E1: CloudNativePG's own program is PostgreSQL's restore_command there, and ends with 1 for any failure."""
    by_snapshot = _with(bootstrap={"recovery": {"volumeSnapshots": {"storage": {"name": "one"}}}}).manifest
    assert fetching_for(by_snapshot, _with_segments(1), backup(3), to_the_end=True) == Fetching(1)
    (warning,) = not_waited_for(by_snapshot, to_the_end=True)
    assert "volume snapshot" in warning


def test_a_source_with_the_plugin_is_recovered_without_it() -> None:
    for latest in (False, True):
        decision = _decision(source=a_plugin_source(), latest=latest)
        assert decision.fetching is None
        assert any("taken for the end of the WAL" in warning for warning in decision.warnings) is latest


def _one_by_one(count: int, **wal_of_store: Any) -> list[str]:
    source = a_source(**by_plugin()).with_object_store(
        {**STORE_CONFIGURATION, **({"wal": wal_of_store} if wal_of_store else {})}
    )
    return [line for line in _decision(count, source=source).warnings if "one after the other" in line]


def test_that_the_plugin_fetches_one_after_the_other_is_told_with_what_helps() -> None:
    (told,) = _one_by_one(WORTH_SEGMENTS)
    assert f"fetch {WORTH_SEGMENTS} WAL segments" in told
    assert '-n data patch objectstore prod-store --type=merge -p \'{"spec":' in told
    assert _one_by_one(WORTH_SEGMENTS, compression="gzip") == [told]


def test_where_it_fetches_more_at_once_or_there_is_little_nothing_is_told() -> None:
    assert _one_by_one(WORTH_SEGMENTS, maxParallel=8) == []
    assert _one_by_one(WORTH_SEGMENTS - 1) == []


def test_what_the_source_has_of_its_own_stays_beside_it() -> None:
    own = {"configMap": {"name": "extra"}}
    cluster = _with(
        env=[{"name": "TZ", "value": "UTC"}], projectedVolumeTemplate={"sources": [own], "defaultMode": 256}
    )
    spec = with_program(cluster, Fetching(8)).manifest["spec"]
    assert {variable["name"]: variable["value"] for variable in spec["env"]} == {
        "TZ": "UTC",
        "PYTHONPATH": "/projected/postgres-dr",
        "POSTGRES_DR_WAIT_SECONDS": "300",
        "POSTGRES_DR_FETCHED_AHEAD": "/controller/fetched-ahead",
        "POSTGRES_DR_SEGMENTS_AHEAD": "8",
    }
    first, second = spec["projectedVolumeTemplate"]["sources"]
    assert first == own
    assert second["configMap"]["name"] == NAME
    assert second["configMap"]["optional"] is True, "a pod must not wait for it"
    assert spec["projectedVolumeTemplate"]["defaultMode"] == 256
    # AND the file is where Python is told to look
    (item,) = second["configMap"]["items"]
    assert f"/projected/{item['path']}" == f"{spec['env'][1]['value']}/sitecustomize.py"
    # AND the Cluster that is declared for good was not touched
    assert "PYTHONPATH" not in json.dumps(dict(cluster.manifest))


def test_where_nothing_is_fetched_ahead_the_program_needs_no_room() -> None:
    spec = with_program(a_recovered(), Fetching()).manifest["spec"]
    assert [variable["name"] for variable in spec["env"]] == ["PYTHONPATH", "POSTGRES_DR_WAIT_SECONDS"]


def test_the_patch_takes_away_what_the_source_has_not_and_keeps_what_it_has() -> None:
    assert as_declared(a_recovered()) == {"spec": {"env": None, "projectedVolumeTemplate": None}}
    env, projected = [{"name": "TZ", "value": "UTC"}], {"sources": [{"configMap": {"name": "extra"}}]}
    cluster = _with(env=env, projectedVolumeTemplate=projected)
    assert as_declared(cluster) == {"spec": {"env": env, "projectedVolumeTemplate": projected}}


def test_the_program_is_brought_as_it_stands(wire: Wire, api: KubernetesApi) -> None:
    _absent(wire, f"{CONFIG_MAPS}/{NAME}")
    wire.on(CONFIG_MAPS, {}, status=201, method="POST")
    bring_program(api, a_recovered())
    (made,) = wire.received("POST")
    body = made.body
    assert body["metadata"]["name"] == NAME
    assert "def restore" in body["data"]["sitecustomize.py"]
    assert wire.received("DELETE") == []


def test_the_program_is_taken_away_where_it_is(wire: Wire, api: KubernetesApi) -> None:
    _absent(wire, f"{CONFIG_MAPS}/{NAME}")
    remove_program(api, "data", "postgres-prod-recovered")
    assert wire.received("DELETE") == [], "a user without one needs no right to delete it"
    wire.on(f"{CONFIG_MAPS}/{NAME}", {"metadata": {"name": NAME}})
    wire.on(f"{CONFIG_MAPS}/{NAME}", {}, method="DELETE")
    remove_program(api, "data", "postgres-prod-recovered")
    assert [asked.path for asked in wire.received("DELETE")] == [f"{CONFIG_MAPS}/{NAME}"]


def test_a_cluster_is_made_as_declared_by_a_merge_patch(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CLUSTER, {}, method="PATCH")
    make_as_declared(api, a_recovered())
    (patched,) = wire.received("PATCH")
    assert patched.headers["content-type"] == "application/merge-patch+json"
    assert patched.body == {"spec": {"env": None, "projectedVolumeTemplate": None}}


def test_a_cluster_that_is_gone_needs_no_patch(wire: Wire, api: KubernetesApi) -> None:
    _absent(wire, CLUSTER, method="PATCH")
    make_as_declared(api, a_recovered())
    assert len(wire.received("PATCH")) == 1


def test_the_program_stays_until_the_recovery_is_over(
    wire: Wire, api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E1: the kubelet takes a file whose ConfigMap is gone out of a running pod, and the Job's next pod has to find it.

    The specification becomes the source's again as soon as the first pod is at work: the instance starts without.
    """
    # GIVEN a scratch Cluster that replays WAL, and then is healthy
    cluster = a_recovered()
    said = LogSeen(pod="one", line=json.dumps({"msg": "Starting barman-cloud-restore"}))
    coming: list[Observation | None] = [as_seen(cluster, healthy=False), said, None, as_seen(cluster), None]
    done: list[list[str]] = []

    class Watch:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def next(self, _: float) -> Observation | None:
            return coming.pop(0)

    monkeypatch.setattr(scratch, "RecoveryWatch", Watch)
    monkeypatch.setattr(scratch, "make_scratch", lambda *_, **__: True)
    wire.on(CLUSTER, {}, method="PATCH")
    wire.on(CONFIG_MAPS, {}, status=201, method="POST")
    wire.on(f"{CONFIG_MAPS}/{NAME}", {"metadata": {"name": NAME}})
    wire.on(f"{CONFIG_MAPS}/{NAME}", {}, method="DELETE")
    session: Any = SimpleNamespace(api=api, environment=an_environment(), clock=lambda: NOW, stop=Event())
    reporter: Any = SimpleNamespace(recovery=lambda *_, **__: None)

    def changes(_: object = None) -> None:
        done.append([asked.method for asked in wire.asked if asked.method != "GET"])

    # WHEN it is recovered
    one = scratch.Scratch(session, reporter, ReportData(), cluster.manifest, fetching=Fetching())
    one.recover(changes)
    changes()
    # THEN
    assert done == [["DELETE", "POST", "PATCH"], ["DELETE", "POST", "PATCH", "DELETE"]]
