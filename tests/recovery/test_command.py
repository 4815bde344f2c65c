"""``dr pitr`` with each kind of target, by way of the command line: the plan, the refusals, the command to go on."""

import json
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from dr.core.errors import RefusedError
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.wal_names import name_of
from dr.main import run
from dr.recovery.verify import verify_last_commit
from tests.conftest import CLUSTERS
from tests.support.archives import SEGMENT, put_wal
from tests.support.builders import (
    BUCKET,
    TARGET_TIME,
    a_backup,
    a_decision,
    a_situation,
    an_environment,
    as_seen,
    cluster_object,
)
from tests.support.doubles import ObjectStoreDouble, Wire, nothing_changed, write_environment
from tests.support.s3 import put_all, s3_bucket

BACKUP = "20240501T030000"
LSN = LsnTarget(0x3000139)
XID = XidTarget(742, backup_id="20260427T030000", exclusive=True)
NAME = NameTarget("before the migration", backup_id="20260427T030000")
IMMEDIATE = ImmediateTarget(backup_id="20260427T030000")
TIME = TimeTarget(TARGET_TIME, timeline=1, exclusive=True)


def _pitr(folder: Path, *more: str) -> int:
    return run(["pitr", "--config-dir", str(folder), "--env", "prod", *more])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--target-time", "2024-05-01 12:00 Europe/Oslo"], "2024-05-01 10:00:00 UTC = "),
        (["--target-lsn", "0/4000139"], "LSN 0/4000139, inclusive"),
        (["--target-xid", "742", "--backup-id", BACKUP, "--exclusive"], "transaction 742, exclusive"),
        (["--target-name", "before", "--backup-id", BACKUP, "--timeline", "1"], "restore point 'before', timeline 1"),
        (["--target-immediate", "--backup-id", BACKUP], f"the end of base backup {BACKUP}"),
    ],
    ids=["time", "lsn", "xid", "name", "immediate"],
)
def test_each_target_is_planned(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], given: list[str], told: str
) -> None:
    assert _pitr(place, *given, "--dry-run", "--json") == 0
    facts = json.loads(capsys.readouterr().out)["plan"]["facts"]
    assert told in facts["Target"]
    assert facts["Base backup"].startswith(f"{BACKUP}, ended 2024-05-01 03:00:33 UTC")
    assert nothing_changed(wire)


def test_a_recovery_out_of_s3_is_planned(
    place: Path,
    wire: Wire,
    bucket: ObjectStoreDouble,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The archive of ``bucket``, in S3, to which the Cluster archives by a key in a Secret."""
    url = f"s3://{BUCKET}/prod"
    keys = {"accessKeyId": {"name": "s3", "key": "id"}, "secretAccessKey": {"name": "s3", "key": "secret"}}
    definition = {"destinationPath": f"{url}/", "endpointURL": "http://minio.minio.svc:9000", "s3Credentials": keys}
    source = cluster_object(backup={"barmanObjectStore": definition})
    wire.on(f"{CLUSTERS}/postgres-prod", source)
    wire.on(CLUSTERS, {"items": [source]})
    wire.on("/api/v1/namespaces/data/secrets/s3", {"metadata": {}, "data": {}})
    put_wal(bucket, "postgres-prod", {name_of(1, number, SEGMENT): None for number in (3, 4)}, suffix=".gz")
    write_environment(place, place / "config", gcpProject=None, backup={"destinationPath": url})
    with s3_bucket(monkeypatch) as client:
        put_all(client, {name: content for name, content in bucket.objects.items() if name not in bucket.sizes})
        assert _pitr(place, "--target-lsn", "0/4000139", "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["facts"]["Recovered"].endswith(f"archiving to {url}/postgres-prod-recovered")
    assert not any(word in json.dumps(plan) for word in ("gcloud", "gs://"))
    assert bucket.asked == []


@pytest.mark.parametrize(
    ("given", "exit_code", "code"),
    [
        ([], 2, "target-missing"),
        (["--target-lsn", "0/1", "--target-immediate"], 2, "targets-exclude-each-other"),
        (["--target-xid", "742"], 2, "target-needs-backup-id"),
        (["--target-lsn", "x"], 2, "target-lsn-malformed"),
        (["--target-name", "a", "--backup-id", "b", "--exclusive"], 2, "exclusive-without-effect"),
        (["--target-lsn", "0/1"], 4, "target-before-first-backup"),
        (["--target-lsn", "0/4000139", "--timeline", "9"], 4, "timeline-missing"),
        (["--target-immediate", "--backup-id", "nobody"], 4, "backup-missing"),
        (["--target-time", "2024-05-01T03:00:00Z", "--backup-id", BACKUP], 4, "backup-after-target"),
    ],
)
def test_what_cannot_be_reached_is_refused_before_anything_is_touched(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], given: list[str], exit_code: int, code: str
) -> None:
    assert _pitr(place, *given, "--yes", "--json") == exit_code
    told = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in told["problems"]] == [code]
    assert nothing_changed(wire)


@pytest.mark.parametrize("target", [LSN, XID, NAME, IMMEDIATE, TIME], ids=str)
def test_the_target_is_declared_and_written_down_and_asked_for_again(target: RecoveryTarget) -> None:
    # WHEN
    decision = a_decision(target=target)
    # THEN
    recovery = decision.cluster.manifest["spec"]["bootstrap"]["recovery"]
    told = recovery["recoveryTarget"]
    assert told | target.manifest == told
    assert told["backupID"] == decision.base.backup_id
    words = shlex.split(decision.request.command(an_environment(), go_on=True))
    assert words[3:] == ["pitr", "--env", "prod", *target.options, "--continue"]
    # AND a Cluster that was made for it is known again, and one for another is not
    there = as_seen(decision.cluster)
    assert a_decision(a_situation(recovered=there), target=target, go_on=True).base == decision.base
    with pytest.raises(RefusedError, match="with another target"):
        a_decision(a_situation(recovered=there), go_on=True)


@pytest.mark.parametrize(
    ("target", "told"),
    [(TIME, "no commit after the target"), (LSN, "the target itself"), (XID, "the target itself"), (IMMEDIATE, None)],
    ids=str,
)
def test_what_an_unsealed_wal_means_depends_on_the_target(target: RecoveryTarget, told: str | None) -> None:
    warnings = a_decision(target=target, seal=False).warnings
    assert len(warnings) == (0 if told is None else 1)
    assert all(told in warning for warning in warnings if told)


def test_an_lsn_is_no_reason_to_look_at_the_databases_clock() -> None:
    assert a_decision(a_situation(database_time=a_backup().end), target=LSN).base == a_backup()


@pytest.mark.parametrize(
    ("target", "late", "passed"),
    [(TIME, -1, True), (TIME, 0, False), (LSN, 0, None), (XID, 0, None), (IMMEDIATE, 0, None)],
)
def test_the_last_transaction_is_judged_by_a_time_only(target: RecoveryTarget, late: int, passed: bool | None) -> None:
    assert verify_last_commit(TARGET_TIME + timedelta(seconds=late), target).passed is passed
