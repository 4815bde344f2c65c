"""Volume snapshots as the base: as far as it can be seen without a driver that makes volumes of them.

The kind is a double: a definition of VolumeSnapshot that takes anything, and objects as CloudNativePG marks them. What
is real is the API server, CloudNativePG's webhook, and the WAL that has to fit.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dr.archive.snapshots import SnapshotBackup
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.recovered import derive_recovered_cluster
from dr.core.target import ImmediateTarget, TimeTarget
from tests.e2e.cli_runner import CliRunner

pytestmark = pytest.mark.long

KINDS = {
    "volumesnapshots": ("VolumeSnapshot", "Namespaced"),
    "volumesnapshotclasses": ("VolumeSnapshotClass", "Cluster"),
}


def definition(plural: str) -> dict[str, Any]:
    kind, scope = KINDS[plural]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.snapshot.storage.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a double"},
        },
        "spec": {
            "group": "snapshot.storage.k8s.io",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": scope,
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }


@pytest.fixture
def with_the_kind(clean_dev: CliRunner) -> Iterator[CliRunner]:
    for plural in KINDS:
        clean_dev.apply(json.dumps(definition(plural)))
        clean_dev.kubectl("wait", "crd", f"{plural}.snapshot.storage.k8s.io", "--for=condition=Established")
    yield clean_dev
    for plural in KINDS:
        clean_dev.kubectl("delete", "crd", f"{plural}.snapshot.storage.k8s.io")


def taken(runner: CliRunner, name: str) -> dict[str, Any]:
    """A VolumeSnapshot of a cold backup that ended just now, as CloudNativePG would mark it."""
    control = runner.in_pod(f"{runner.source}-1", "sh", "-c", "pg_controldata $PGDATA").stdout
    now = datetime.fromisoformat(runner.database_time()).replace(microsecond=0) - timedelta(seconds=2)
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": {
            "name": name,
            "namespace": "data",
            "labels": {"cnpg.io/cluster": runner.source, "cnpg.io/backupName": name},
            "annotations": {
                "cnpg.io/pvcRole": "PG_DATA",
                "cnpg.io/onlineBackup": "false",
                "cnpg.io/backupStartTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "cnpg.io/backupEndTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "cnpg.io/pgControldata": control,
            },
        },
        "spec": {"volumeSnapshotClassName": "none", "source": {"persistentVolumeClaimName": f"{runner.source}-1"}},
        "status": {"readyToUse": True},
    }


def test_a_plan_begins_from_a_snapshot_that_fits_and_says_why_not_from_others(with_the_kind: CliRunner) -> None:
    # GIVEN one whose WAL is archived, and one that is not ready
    runner = with_the_kind
    runner.psql_lines(
        runner.source, "SELECT pg_current_xact_id()", "CHECKPOINT", "SELECT pg_switch_wal()", "CHECKPOINT"
    )
    good = taken(runner, "nightly")
    segment = next(
        line.split()[-1]
        for line in good["metadata"]["annotations"]["cnpg.io/pgControldata"].splitlines()
        if "REDO WAL file" in line
    )
    runner.psql_lines(runner.source, "SELECT pg_current_xact_id()", "SELECT pg_switch_wal()")
    runner.await_archived(segment)
    runner.apply(json.dumps(good))
    runner.apply(json.dumps({**taken(runner, "unready"), "status": {"readyToUse": False}}))
    # WHEN it is looked at
    target = runner.database_time()
    chosen = runner.pitr(target, "--dry-run", "--snapshot", "nightly")
    refused = runner.pitr(target, "--dry-run", "--snapshot", "unready")
    missing = runner.pitr(target, "--dry-run", "--snapshot", "weekly")
    never = runner.pitr(target, "--dry-run", "--snapshot", "never")
    # THEN
    assert chosen.code == 0, chosen
    assert chosen.document["plan"]["facts"]["Base backup"].startswith("volume snapshot nightly, ended ")
    assert (refused.code, refused.problem_codes) == (4, ["snapshot-not-usable"])
    assert "--snapshot nightly would do" in refused.document["problems"][0]["remedy"]
    assert missing.problem_codes == ["snapshot-missing"]
    assert "volume snapshot" not in never.document["plan"]["facts"]["Base backup"]


def test_without_the_kind_it_is_refused_only_where_it_is_asked_for(clean_dev: CliRunner) -> None:
    target = clean_dev.database_time()
    assert clean_dev.pitr(target, "--dry-run").code == 0
    outcome = clean_dev.pitr(target, "--dry-run", "--snapshot", "newest")
    assert outcome.problem_codes == ["snapshots-not-supported"]


def test_the_declaration_is_taken_by_the_webhook_and_the_api_server(clean_dev: CliRunner) -> None:
    source = ClusterSnapshot.from_object(clean_dev.cluster(clean_dev.source) or {})
    assert source.store
    moment = datetime.now(UTC)
    snapshot = SnapshotBackup(
        name="nightly",
        storage="nightly",
        wal_storage=None,
        tablespaces={},
        begin=moment,
        end=moment,
        begin_wal="000000010000000000000003",
        begin_lsn=0x3000028,
        end_lsn=None,
        major=None,
    )
    for target in (None, TimeTarget(moment), ImmediateTarget()):
        derived = derive_recovered_cluster(
            source,
            source.store,
            name="from-snapshot",
            server_name="from-snapshot",
            target=target,
            limit=timedelta(minutes=1),
            base="nightly",
            snapshot=snapshot,
        )
        said = clean_dev.apply(json.dumps(derived.manifest), "--dry-run=server", "-o", "json")
        recovery = json.loads(said)["spec"]["bootstrap"]["recovery"]
        assert recovery["volumeSnapshots"]["storage"]["name"] == "nightly"
