"""``dr health``, in this process: a whole environment at the wire, and what is made of it."""

import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dr.core.errors import AccessError
from dr.health.command import watch_health
from dr.health.evaluate import Health
from dr.kube.pod_exec import Ran
from dr.main import run
from tests.support.archives import backup as archived_backup
from tests.support.archives import put_backup, put_wal
from tests.support.builders import (
    BUCKET,
    NOW,
    SOURCE_HOST,
    a_record,
    an_entry,
    cluster_object,
    config_document,
    config_map_of,
)
from tests.support.doubles import (
    Impatient,
    ObjectStoreDouble,
    RanInPod,
    Wire,
    closed_port,
    in_pods,
    kube_status,
    said,
    serving,
    write_environment,
    write_kubeconfig,
)
from tests.support.s3 import put_all, s3_bucket
from tests.support.waiting import HANG_SECONDS

OK, WARNING, CRITICAL, UNKNOWN = range(4)
CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod"
SCHEDULES = "/apis/postgresql.cnpg.io/v1/namespaces/data/scheduledbackups"
BACKUPS = "/apis/postgresql.cnpg.io/v1/namespaces/data/backups"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
DEPLOYMENTS = "/apis/apps/v1/namespaces/cnpg-system/deployments"
SEGMENT = 16 * 2**20
MOMENT = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
"""When everything is looked at: versions end."""


@pytest.fixture
def place(
    tmp_path: Path, wire: Wire, own_home: Path, own_signals: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A healthy environment as of now, at the wire. What runs in pods is a double."""
    now = MOMENT
    monkeypatch.setattr("dr.run.session.utc_now", lambda: MOMENT)
    monkeypatch.setattr("dr.health.observe.LOOK_SECONDS", HANG_SECONDS)
    write_environment(tmp_path, write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url}))
    raw = cluster_object()
    ends = {"postgres-prod-server": f"{now + timedelta(days=80):%Y-%m-%d %H:%M:%S} +0000 UTC"}
    raw["status"] |= {
        "readyInstances": 1,
        "instanceNames": ["postgres-prod-1"],
        "certificates": {"expirations": ends},
        "lastSuccessfulBackup": (now - timedelta(hours=2)).isoformat(),
    }
    wire.on(CLUSTER, raw)
    wire.on(CLUSTER.rpartition("/")[0], {"items": []})
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": SOURCE_HOST}})
    wire.on(BACKUPS, {"items": []})
    _schedule(wire, suspend=False)
    wire.on(DEPLOYMENTS, {"items": [_deployment("cloudnative-pg:1.30.1")]})
    wire.on("/api/v1/namespaces/data/serviceaccounts/postgres-prod", {"metadata": {"name": "postgres-prod"}})
    wire.on("/api/v1/namespaces/data/persistentvolumeclaims", {"items": []})
    path = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
    wire.on(path, kube_status(404, "not found", name="x"), status=404)
    in_pods(monkeypatch, _pod)
    with serving(ObjectStoreDouble(bucket=BUCKET)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        lifecycle = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]}
        store.on(f"/storage/v1/b/{BUCKET}", {"name": BUCKET, "location": "EUROPE-WEST1", "lifecycle": lifecycle})
        _fill(store, now)
        yield tmp_path


def _fill(store: ObjectStoreDouble, now: datetime, *, suffix: str = "") -> None:
    from dataclasses import replace

    made = archived_backup(3)
    put_backup(
        store, "postgres-prod", replace(made, begin=now - timedelta(hours=2, minutes=1), end=now - timedelta(hours=2))
    )
    files: dict[str, datetime | None] = {f"00000001{0:08X}{number:08X}": now for number in range(3, 20)}
    put_wal(store, "postgres-prod", files, suffix=suffix)


def _pod(ran: RanInPod, **changes: Any) -> Ran | AccessError:
    """What a healthy primary answers."""
    if ran.command[0] == "df":
        return said(
            "Filesystem 1-blocks Used Available Capacity Mounted on\n/dev/sdb 100 40 60 40% /var/lib/postgresql/data\n"
        )
    now = MOMENT.timestamp()
    answer = {
        "now": now,
        "position": 20 * SEGMENT + 4096,
        "segmentSize": SEGMENT,
        "size": 2**30,
        "walSize": 10 * SEGMENT,
        "archiveTimeout": 300,
        "lastArchived": f"00000001{0:08X}{19:08X}",
        "lastArchivedAt": now - 10,
        "lastFailed": None,
        "lastFailedAt": None,
        "waiting": 0,
        "waitingSince": None,
        "replicas": [],
        **changes,
    }
    return said(json.dumps(answer) + "\n")


def _deployment(image: str, ready: int = 1) -> dict[str, Any]:
    pods = {"spec": {"containers": [{"image": f"registry.acme.test/{image}"}]}}
    return {
        "metadata": {"name": "cnpg-controller-manager"},
        "spec": {"template": pods},
        "status": {"readyReplicas": ready},
    }


def _schedule(wire: Wire, *, suspend: bool) -> None:
    spec = {"schedule": "0 0 3 * * *", "suspend": suspend, "cluster": {"name": "postgres-prod"}}
    wire.on(SCHEDULES, {"items": [{"metadata": {"name": "postgres-prod"}, "spec": spec}]})


def _health(place: Path, *arguments: str) -> int:
    return run(["health", "--config-dir", str(place), *arguments])


def _json(capsys: pytest.CaptureFixture[str], place: Path, *arguments: str) -> dict[str, Any]:
    _health(place, "--env", "prod", "--json", *arguments)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _states(told: dict[str, Any]) -> dict[str, str]:
    """The states of the checks that are not ok."""
    (environment,) = told["environments"]
    return {check["name"]: check["state"] for check in environment["checks"] if check["state"] != "ok"}


def test_a_healthy_environment_is_one_line_and_exit_code_0(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _health(place, "--env", "prod") == OK
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("DR OK - prod: 30 checks, in ")


def test_an_environment_in_s3_is_as_healthy(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 30}}
    keys = {"accessKeyId": {"name": "s3", "key": "id"}, "secretAccessKey": {"name": "s3", "key": "secret"}}
    definition = {"destinationPath": f"s3://{BUCKET}/prod", "s3Credentials": keys}
    raw = json.loads(wire.answers["GET", CLUSTER][1])
    raw["spec"]["backup"]["barmanObjectStore"] = definition
    wire.on(CLUSTER, raw)
    written = ObjectStoreDouble(bucket=BUCKET)
    _fill(written, MOMENT, suffix=".gz")
    with s3_bucket(monkeypatch) as client:
        put_all(client, written)
        client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
        write_environment(place, place / "config", gcpProject=None, backup={"destinationPath": f"s3://{BUCKET}/prod"})
        assert _health(place, "--env", "prod", "-v") == OK
    told = capsys.readouterr().out
    assert f"ok       prod bucket: s3://{BUCKET}/prod answers; serverNames postgres-prod" in told
    assert "ok       prod retention: the bucket deletes after 30 days, CloudNativePG after 30d" in told
    assert "ok       prod bucket-location: eu-central-1" in told
    assert "ok       prod identity: the bucket is reached by a key in a Secret" in told


def test_with_verbose_every_check_is_told(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _health(place, "--env", "prod", "-v") == OK
    told = capsys.readouterr().out
    assert "ok       prod base-backup: backup-3 ended 2 h ago; there are 1" in told
    assert "ok       prod retention: the bucket deletes after 30 days, CloudNativePG after 30d" in told
    assert "ok       prod volumes: the fullest is /var/lib/postgresql/data of postgres-prod-1, 40 %" in told


def test_nothing_is_changed(place: Path, wire: Wire) -> None:
    assert _health(place, "--env", "prod") == OK
    assert {asked.method for asked in wire.asked} == {"GET"}


def test_a_warning_is_1_and_names_itself_first(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    _schedule(wire, suspend=True)
    assert _health(place, "--env", "prod") == WARNING
    first, check, remedy = capsys.readouterr().out.splitlines()
    assert first == "DR WARNING - prod: schedule"
    assert check.startswith("  warning  prod schedule: ScheduledBackup postgres-prod is suspended")
    assert " -n data patch scheduledbackup postgres-prod" in remedy


def test_what_is_critical_is_2(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.on(DEPLOYMENTS, {"items": [_deployment("cloudnative-pg:1.30.1", ready=0)]})
    told = _json(capsys, place)
    assert (told["state"], told["exitCode"], _states(told)) == ("critical", 2, {"operator": "critical"})
    assert _health(place, "--env", "prod") == CRITICAL


def test_what_the_user_may_not_see_is_3_and_the_rest_is_told(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(DEPLOYMENTS, kube_status(403, "deployments is forbidden"), status=403)
    told = _json(capsys, place)
    unknown = {"operator": "unknown", "operator-version": "unknown", "archive-method": "unknown", "plugin": "unknown"}
    assert (_states(told), told["exitCode"]) == (unknown, UNKNOWN)
    assert _health(place, "--env", "prod") == UNKNOWN
    told_once = [line for line in capsys.readouterr().out.splitlines() if "is forbidden" in line]
    assert len(told_once) == 1
    assert told_once[0].startswith("  unknown  prod operator, operator-version, archive-method, plugin: ")


def test_a_cluster_that_is_gone_leaves_the_bucket_judged(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_environment(tmp_path, write_kubeconfig(tmp_path / "config", {"acme-prod": closed_port()}))
    states = _states(_json(capsys, place))
    assert states["cluster"] == "critical"
    assert {states[name] for name in ("archiving", "wal-lag", "volumes", "operator", "argocd")} == {"unknown"}
    assert not {"base-backup", "window", "wal-holes", "retention", "rto"} & states.keys()


def test_without_a_kubeconfig_the_same(tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_environment(tmp_path, tmp_path / "nowhere")
    states = _states(_json(capsys, place))
    assert (states["cluster"], "base-backup" in states) == ("unknown", False)


def test_a_bucket_that_is_gone_leaves_the_cluster_judged(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    states = _states(_json(capsys, place))
    assert states["bucket"] == "critical"
    assert {states[name] for name in ("base-backup", "claims", "rto", "retention")} == {"unknown"}
    assert "archiving" not in states


def test_a_database_that_does_not_answer_is_unknown(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_pods(monkeypatch, lambda _: AccessError("exec-timeout", "could not run SQL within 10 s", "look at the pod"))
    assert _states(_json(capsys, place)) == dict.fromkeys(("volumes", "clock", "wal-lag"), "unknown")


def test_a_service_without_a_cluster_is_critical(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    wire.on(CLUSTER, kube_status(404, "not found", name="postgres-prod"), status=404)
    told = _json(capsys, place)
    assert _states(told)["cluster"] == "critical"
    (environment,) = told["environments"]
    assert f"python -m dr latest --env prod --config-dir {place} recovers" in environment["checks"][0]["remedy"]


def test_an_unfinished_operation_is_told(place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    path = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
    wire.on(path, config_map_of(a_record().with_operation(an_entry().step_started("fence", NOW))))
    assert _states(_json(capsys, place)) == {"operation": "warning"}


def test_the_metrics_are_read_by_prometheus_own_parser(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _health(place, "--env", "prod", "--prometheus") == OK
    families = {family.name: family for family in text_string_to_metric_families(capsys.readouterr().out)}
    states = {sample.labels["check"]: sample.value for sample in families["postgres_dr_health_check_state"].samples}
    assert set(states.values()) == {0}
    assert len(states) == 30
    for name, least in (
        ("base_backup_age_seconds", 7200),
        ("wal_behind_bytes", 4096),
        ("rto_predicted_seconds", 60),
        ("window_end_timestamp_seconds", MOMENT.timestamp()),
        ("health_look_seconds", 0),
    ):
        (sample,) = families[f"postgres_dr_{name}"].samples
        assert (sample.labels, sample.value >= least) == ({"environment": "prod"}, True)
        assert families[f"postgres_dr_{name}"].documentation
    (whole,) = families["postgres_dr_health_environment_state"].samples
    assert whole.value == OK


def test_every_environment_of_the_folder_is_looked_at(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    # GIVEN another environment, whose database is gone, and a stack of the infrastructure
    keys = {"service": "dev-postgres", "sourceCluster": "postgres-dev", "recoveredCluster": "postgres-dev-recovered"}
    access = {"context": "acme-prod", "kubeconfig": str(place / "config")}
    (place / "Pulumi.dev.yaml").write_text(yaml.safe_dump(config_document(kubernetes=access, **keys)))
    (place / "Pulumi.durable.yaml").write_text(yaml.safe_dump({"config": {"postgres-dr:holds": "durable"}}))
    for path in ("services/dev-postgres",):
        wire.on(f"/api/v1/namespaces/data/{path}", kube_status(404, "not found", name="x"), status=404)
    gone = CLUSTER.replace("prod", "dev")
    wire.on(gone, kube_status(404, "not found", name="postgres-dev"), status=404)
    # WHEN
    assert _health(place, "--all", "--json") == CRITICAL
    # THEN
    told = json.loads(capsys.readouterr().out)
    assert {one["environment"]: one["state"] for one in told["environments"]} == {"dev": "critical", "prod": "ok"}


def test_what_makes_no_sense_is_unknown_and_not_critical(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        (),
        ("--env", "prod", "--all"),
        ("--all", "--context", "acme-prod"),
        ("--env", "prod", "--json", "--prometheus"),
        ("--env", "prod", "--watch", "--prometheus"),
        ("--env", "prod", "--interval", "soon"),
        ("--env", "prod", "--context", "other"),
        ("--env", "nowhere"),
    ):
        assert _health(place, *arguments) == UNKNOWN
        told = capsys.readouterr()
        assert '"remedy": "' in told.out if "--json" in arguments else "do: " in told.err


def test_with_json_what_makes_no_sense_is_a_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _health(place, "--json") == UNKNOWN
    told = json.loads(capsys.readouterr().out)
    assert (told["error"], told["exitCode"]) == ("request", UNKNOWN)


def test_a_folder_without_environments_is_told(tmp_path: Path, own_home: Path) -> None:
    assert _health(tmp_path, "--all") == UNKNOWN


def test_a_fault_of_the_tool_is_unknown(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_pods(monkeypatch, lambda _: said("no json\n"))
    assert _health(place, "--env", "prod") == UNKNOWN
    assert "JSONDecodeError" in capsys.readouterr().err


def test_watching_tells_again_and_again_and_ends_with_the_last_code(monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN a warning that comes between the first look and the second, and Ctrl-C after that; each look takes 4 s
    monkeypatch.setattr("dr.health.command.time", SimpleNamespace(monotonic=partial(next, count(step=4))))
    codes, shown = iter([OK, WARNING]), []
    stop = Impatient(lambda waits: stop.set() if waits == 1 else None)

    def show(found: tuple[Health, ...]) -> int:
        shown.append(found)
        return next(codes)

    # WHEN
    assert watch_health(lambda: (), show, interval=30, stop=stop) == WARNING
    # THEN a look begins every 30 s
    assert len(shown) == 2
    assert stop.waited == [26, 26]


def test_a_watch_prints_one_document_a_line(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dr.health.command.Event", lambda: Impatient(lambda _: os.kill(os.getpid(), signal.SIGTERM)))
    assert _health(place, "--env", "prod", "--watch", "--json") == OK
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["state"] == "ok"
