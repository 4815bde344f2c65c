"""``dr health`` on the lab: silent where all is well, and it finds each fault that is planted, one by one."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud import storage
from prometheus_client.parser import text_string_to_metric_families

from lab.platform import gcs
from tests.e2e.cli_runner import PROJECT, CliRunner, fresh_dev
from tests.e2e.lab_bucket import age, away, folder, unavailable
from tests.support.doubles import closed_port, write_kubeconfig
from tests.support.waiting import wait_for

OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMESPACE = ("-n", "data")
OPERATOR = ("deployment/cnpg-controller-manager", "-n", "cnpg-system")
KNOWN = [
    {"check": name, "until": "2099-12-31", "why": "the lab's versions are what they are"}
    for name in ("operator-version", "archive-method")
]


@pytest.fixture
def healthy(lab_variables: dict[str, str], tmp_path: Path) -> Iterator[CliRunner]:
    """Dev as it is made; that its versions grow old is known."""
    runner = fresh_dev(lab_variables).with_config(tmp_path, health={"acknowledged": KNOWN})
    yield runner
    runner.end_started()


def found(runner: CliRunner, *arguments: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the states of what is not ok."""
    outcome = runner.dr("health", "--env", runner.env, *arguments)
    (environment,) = outcome.document["environments"]
    return outcome.code, {
        one["name"]: one["state"] for one in environment["checks"] if one["state"] != "ok" and not one["acknowledged"]
    }


def bounded(runner: CliRunner, tmp_path: Path, *, goal: float = 30, **bounds: Any) -> CliRunner:
    """The same seat with other bounds, and another goal in minutes."""
    place = tmp_path / "bounded"
    place.mkdir()
    return runner.with_config(place, health={"acknowledged": KNOWN, **bounds}, goals={"rtoMinutes": goal})


def patched(runner: CliRunner, what: str, body: dict[str, Any], *options: str) -> None:
    runner.kubectl("patch", what, *NAMESPACE, "--type", "merge", "-p", json.dumps(body), *options)


def test_a_healthy_database_is_one_line(healthy: CliRunner) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dr", "health", "--env", "dev"],
        cwd=PROJECT,
        env={**healthy.variables, "DR_CONFIG_DIR": str(healthy.config_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == OK, done.stdout + done.stderr
    assert done.stdout.startswith("DR OK - dev: 30 checks")
    assert len(done.stdout.splitlines()) == 1


def test_its_metrics_are_prometheus(healthy: CliRunner) -> None:
    words = (sys.executable, "-m", "dr", "health", "--env", "dev", "--prometheus")
    text = CliRunner("dev", {**healthy.variables, "DR_CONFIG_DIR": str(healthy.config_dir)}, healthy.config_dir).run(
        *words
    )
    families = {family.name: family for family in text_string_to_metric_families(text + "\n")}
    assert families["postgres_dr_health_environment_state"].samples[0].value == OK
    assert families["postgres_dr_rto_predicted_seconds"].samples[0].value > 0


def test_a_suspended_schedule_is_found(healthy: CliRunner) -> None:
    patched(healthy, "scheduledbackup/postgres-dev", {"spec": {"suspend": True}})
    try:
        assert found(healthy) == (WARNING, {"schedule": "warning"})
    finally:
        patched(healthy, "scheduledbackup/postgres-dev", {"spec": {"suspend": None}})


def test_a_bucket_without_its_base_backups_is_found(healthy: CliRunner) -> None:
    with away(folder("dev", "postgres-dev", "base")):
        code, states = found(healthy)
    assert code == CRITICAL
    assert states == dict.fromkeys(("base-backup", "window", "claims", "rto"), "critical")


@pytest.mark.long
def test_a_server_name_without_anything_is_found(healthy: CliRunner) -> None:
    with away(folder("dev", "postgres-dev")):
        code, states = found(healthy)
    assert (code, states["window"], states["base-backup"]) == (CRITICAL, "critical", "critical")


@pytest.mark.long
def test_an_empty_path_is_found(healthy: CliRunner) -> None:
    with away(folder("dev")):
        code, states = found(healthy)
    assert (code, states["bucket"]) == (CRITICAL, "critical")


@pytest.mark.long
def test_a_base_backup_without_its_data_is_found(healthy: CliRunner) -> None:
    (made,) = folder("dev", "postgres-dev", "base").iterdir()
    with away(made / "data.tar"):
        assert found(healthy) == (CRITICAL, {"backup-objects": "critical"})


@pytest.mark.long
def test_an_old_base_backup_is_found(healthy: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    # GIVEN one that ended three days ago, by its description
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.URL)
    (made,) = folder("dev", "postgres-dev", "base").iterdir()
    client = storage.Client()
    blob = client.bucket(gcs.BUCKET).blob(f"dev/postgres-dev/base/{made.name}/backup.info")
    before = blob.download_as_bytes()
    old = datetime.now(UTC) - timedelta(days=3)
    lines = [f"end_time={old}".encode() if line.startswith(b"end_time=") else line for line in before.splitlines()]
    blob.upload_from_string(b"\n".join(lines) + b"\n")
    try:
        code, states = found(healthy)
    finally:
        blob.upload_from_string(before)
    assert (code, states["base-backup"]) == (CRITICAL, "critical")


@pytest.mark.long
def test_a_hole_in_the_wal_is_found(healthy: CliRunner) -> None:
    # GIVEN three segments more, of which the middle one is lost, twenty minutes ago
    names = [
        healthy.psql(healthy.source, "SELECT pg_walfile_name(pg_switch_wal()) FROM pg_current_xact_id()")
        for _ in range(3)
    ]
    segments = [folder("dev", "postgres-dev", "wals", name[:16], name) for name in names]
    wait_for(segments[-1].exists)
    age(segments[-1], datetime.now(UTC) - timedelta(minutes=20))
    with away(segments[1]):
        code, states = found(healthy)
    assert (code, states["wal-holes"]) == (CRITICAL, "critical")


@pytest.mark.long
def test_a_bucket_that_refuses_and_wal_that_waits_are_found(healthy: CliRunner, tmp_path: Path) -> None:
    runner = bounded(healthy, tmp_path, walWaitingSeconds={"warning": 1, "critical": 600})
    with unavailable():
        healthy.psql(healthy.source, "SELECT pg_switch_wal() FROM pg_current_xact_id()")
        time.sleep(2)
        code, states = found(runner)
    all_archived(healthy)
    assert (code, states["bucket"], states["wal-lag"]) == (CRITICAL, "critical", "warning")
    assert states["base-backup"] == "unknown"


@pytest.mark.long
def test_archiving_that_fails_is_found(healthy: CliRunner) -> None:
    # GIVEN a Cluster that was pointed to another bucket, which is not there
    path = "gs://nowhere-at-all/dev"
    with archiving_to(healthy, path):
        healthy.psql(healthy.source, "SELECT pg_switch_wal() FROM pg_current_xact_id()")
        newer = "SELECT coalesce(last_failed_time > last_archived_time, false) FROM pg_stat_archiver"
        wait_for(lambda: healthy.psql(healthy.source, newer) == "t")
        code, states = found(healthy)
    assert (code, states["archiving"], states["bucket"]) == (CRITICAL, "critical", "critical")


@contextmanager
def archiving_to(runner: CliRunner, path: str) -> Iterator[None]:
    before = f"gs://{gcs.BUCKET}/dev"
    try:
        patched(runner, "cluster/postgres-dev", {"spec": {"backup": {"barmanObjectStore": {"destinationPath": path}}}})
        yield
    finally:
        patched(
            runner, "cluster/postgres-dev", {"spec": {"backup": {"barmanObjectStore": {"destinationPath": before}}}}
        )
        all_archived(runner)


def all_archived(runner: CliRunner) -> None:
    """Wait until no full segment waits to be archived any more."""
    waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
    wait_for(lambda: runner.psql(runner.source, waiting) == "0")


@pytest.mark.long
def test_a_cluster_that_archives_nowhere_is_found(healthy: CliRunner) -> None:
    raw = healthy.cluster(healthy.source)
    assert raw is not None
    patched(healthy, "cluster/postgres-dev", {"spec": {"backup": None}})
    try:
        code, states = found(healthy)
    finally:
        patched(healthy, "cluster/postgres-dev", {"spec": {"backup": raw["spec"]["backup"]}})
    assert (code, states["archiving"]) == (CRITICAL, "critical")


@pytest.mark.long
def test_a_failed_backup_is_found(healthy: CliRunner) -> None:
    # GIVEN a base backup by a plugin that is not there
    healthy.apply(
        "apiVersion: postgresql.cnpg.io/v1\nkind: Backup\nmetadata: {name: planted, namespace: data}\n"
        "spec: {cluster: {name: postgres-dev}, method: plugin, pluginConfiguration: {name: nowhere.test}}\n"
    )
    try:
        healthy.kubectl("wait", "backup/planted", *NAMESPACE, "--for=jsonpath={.status.phase}=failed", "--timeout=300s")
        assert found(healthy) == (CRITICAL, {"backup-runs": "critical"})
    finally:
        healthy.kubectl("delete", "backup", "planted", *NAMESPACE)


@pytest.mark.long
def test_a_retention_that_is_too_short_is_found(healthy: CliRunner) -> None:
    patched(healthy, "cluster/postgres-dev", {"spec": {"backup": {"retentionPolicy": "3d"}}})
    try:
        assert found(healthy) == (CRITICAL, {"retention": "critical"})
    finally:
        patched(healthy, "cluster/postgres-dev", {"spec": {"backup": {"retentionPolicy": "30d"}}})


@pytest.mark.long
def test_a_volume_that_is_nearly_full_is_found(healthy: CliRunner) -> None:
    """The claim is made small by hand: the lab's volumes are folders, and share a file system."""
    claim = healthy.kubectl("get", "pvc/postgres-dev-1", *NAMESPACE, "-o", "jsonpath={.status.capacity.storage}")
    size = int(healthy.psql(healthy.source, "SELECT sum(pg_database_size(oid)) FROM pg_database WHERE datallowconn"))
    patched(healthy, "pvc/postgres-dev-1", {"status": {"capacity": {"storage": str(size)}}}, "--subresource=status")
    try:
        assert found(healthy) == (CRITICAL, {"volumes": "critical"})
    finally:
        patched(healthy, "pvc/postgres-dev-1", {"status": {"capacity": {"storage": claim}}}, "--subresource=status")


@pytest.mark.long
def test_a_replica_that_is_missing_is_found(healthy: CliRunner) -> None:
    patched(healthy, "cluster/postgres-dev", {"spec": {"instances": 2}})
    try:
        code, states = found(healthy)
    finally:
        patched(healthy, "cluster/postgres-dev", {"spec": {"instances": 1}})
        instances = ("-l", "cnpg.io/cluster=postgres-dev", *NAMESPACE, "-o", "name")
        left = ["persistentvolumeclaim/postgres-dev-1"]
        wait_for(lambda: healthy.kubectl("get", "pvc", *instances).split() == left)
        wait_for(lambda: healthy.kubectl("get", "pod", *instances).split() == ["pod/postgres-dev-1"])
        healthy.kubectl("wait", "cluster/postgres-dev", *NAMESPACE, "--for=condition=Ready", "--timeout=300s")
    assert (code, states["replication"]) == (WARNING, "warning")


@pytest.mark.long
def test_an_operator_that_is_down_and_what_it_leaves_undone_is_found(healthy: CliRunner) -> None:
    """The schedule and the certificate would come to that in hours and days: their status is set by hand."""
    late = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ends = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d %H:%M:%S} +0000 UTC"
    with operator_stopped(healthy):
        assert found(healthy) == (CRITICAL, {"operator": "critical"})
        schedule = "scheduledbackup/postgres-dev"
        coming = healthy.kubectl("get", schedule, *NAMESPACE, "-o", "jsonpath={.status.nextScheduleTime}")
        with_status(healthy, schedule, {"nextScheduleTime": late})
        expirations = {"certificates": {"expirations": {"postgres-dev-server": ends}}}
        with_status(healthy, "cluster/postgres-dev", expirations)
        try:
            states = found(healthy)[1]
        finally:
            with_status(healthy, schedule, {"nextScheduleTime": coming})
    assert states == {"operator": "critical", "schedule": "warning", "credentials": "critical"}


def with_status(runner: CliRunner, what: str, status: dict[str, Any]) -> None:
    patched(runner, what, {"status": status}, "--subresource=status")


@contextmanager
def operator_stopped(runner: CliRunner) -> Iterator[None]:
    """Without the operator, so that it mends nothing of what is planted."""
    pods = ("pod", "-l", "app.kubernetes.io/name=cloudnative-pg", "-n", "cnpg-system")
    runner.kubectl("scale", *OPERATOR, "--replicas=0")
    runner.kubectl("wait", *pods, "--for=delete", "--timeout=300s")
    try:
        yield
    finally:
        runner.kubectl("scale", *OPERATOR, "--replicas=1")
        runner.kubectl("rollout", "status", *OPERATOR, "--timeout=300s")


@pytest.mark.long
def test_a_service_that_leads_nowhere_is_found(healthy: CliRunner) -> None:
    host = healthy.kubectl("get", "service/postgres-postgresql", *NAMESPACE, "-o", "jsonpath={.spec.externalName}")
    patched(healthy, "service/postgres-postgresql", {"spec": {"externalName": "db.elsewhere.test"}})
    try:
        assert found(healthy) == (CRITICAL, {"cluster": "critical"})
    finally:
        patched(healthy, "service/postgres-postgresql", {"spec": {"externalName": host}})


@pytest.mark.long
def test_an_api_server_that_is_gone_is_found_and_the_bucket_still_judged(healthy: CliRunner, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    kubeconfig = write_kubeconfig(place / "kubeconfig", {"lab-dev": closed_port()})
    runner = healthy.with_config(
        place, kubernetes={"context": "lab-dev", "kubeconfig": str(kubeconfig)}, health={"acknowledged": KNOWN}
    )
    code, states = found(runner)
    assert (code, states["cluster"], states["archiving"]) == (CRITICAL, "critical", "unknown")
    assert not {"base-backup", "window", "wal-holes", "bucket", "rto"} & states.keys()


@pytest.mark.long
def test_clocks_that_disagree_are_found(healthy: CliRunner) -> None:
    """A double: the process is given a clock that is fast, as no clock of the lab can be set."""
    fast = (
        "import sys; from datetime import timedelta\n"
        "import dr.run.session as session; now = session.utc_now\n"
        "session.utc_now = lambda: now() + timedelta(seconds=90)\n"
        "from dr.main import run; sys.exit(run(['health', '--env', 'dev', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", fast],
        cwd=PROJECT,
        env={**healthy.variables, "DR_CONFIG_DIR": str(healthy.config_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    (environment,) = json.loads(done.stdout)["environments"]
    (clock,) = [one for one in environment["checks"] if one["name"] == "clock"]
    assert (done.returncode, clock["state"]) == (CRITICAL, "critical")
    assert -95 < clock["values"]["clock_skew_seconds"] < -60


@pytest.mark.long
@pytest.mark.parametrize(
    ("bounds", "states"),
    [
        ({"bucketLocation": "ANTARCTICA1"}, {"bucket-location": "critical"}),
        ({"operatorNamespace": "nowhere"}, {"operator": "critical", "plugin": "ok"}),
        ({"goal": 0.5}, {"rto": "critical"}),
        ({"baseBackupAgeHours": {"warning": 0, "critical": 100}}, {"base-backup": "warning"}),
        ({"acknowledged": [], "endOfLife": {"1.30": "2026-01-01"}}, {"operator-version": "critical"}),
    ],
)
def test_what_an_environment_asks_for_is_held_against_it(
    healthy: CliRunner, tmp_path: Path, bounds: dict[str, Any], states: dict[str, str]
) -> None:
    told = found(bounded(healthy, tmp_path, **bounds))[1]
    assert {name: told.get(name, "ok") for name in states} == states
