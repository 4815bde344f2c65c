"""Drills on the lab: one that passes, and those that have to fail; nothing of any is left behind."""

import base64
import json
import signal
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab import paths
from lab.platform import gcs
from tests.e2e.cli_runner import CliRunner, Outcome
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

REFUSED, RECOVERY, VERIFICATION, INTERRUPTED = 4, 7, 8, 130
PAGE = 8192
INDEX = """SELECT pg_relation_filepath(indexrelid) FROM pg_index JOIN pg_class ON oid = indexrelid
WHERE indrelid = 'users'::regclass AND indisunique AND NOT indisprimary"""


def drill(runner: CliRunner, *arguments: str) -> Outcome:
    return runner.dr("drill", "--env", runner.env, *arguments)


def left_behind(runner: CliRunner) -> str:
    """What is there of scratch Clusters, or was theirs."""
    found = runner.kubectl("get", "cluster,pvc,secret,pod,service,job,serviceaccount", "-n", "data", "-o", "name")
    return "\n".join(line for line in found.splitlines() if f"{runner.source}-drill" in line)


def server_names(runner: CliRunner) -> set[str]:
    return {path.name for path in (paths.state().buckets / gcs.BUCKET / runner.env).iterdir()}


def untouched(runner: CliRunner) -> dict[str, Any]:
    """Everything that a drill could change but must not, its own report apart."""
    footprint = runner.footprint()
    footprint["data"] = footprint["data"].replace(f"ConfigMap/postgres-dr-{runner.env}-drills ", "")
    restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    pods = runner.kubectl("get", "pod", "-n", "data", "-l", f"cnpg.io/cluster={runner.source}", "-o", restarts)
    return {**footprint, "restarts": pods, "archives": server_names(runner)}


def report_of(runner: CliRunner) -> dict[str, Any]:
    """The newest report that is kept on this machine."""
    newest = max(runner.journal.with_suffix("").glob("*-drill.json"))
    for suffix in (".html", ".md"):
        assert newest.with_suffix(suffix).stat().st_size > 500
    found: dict[str, Any] = json.loads(newest.read_text())
    return found


def in_cluster(runner: CliRunner) -> list[dict[str, Any]]:
    """The reports of drills that the cluster keeps."""
    text = runner.kubectl("get", "configmap", f"postgres-dr-{runner.env}-drills", "-n", "data", "-o", "json")
    return [json.loads(report) for _, report in sorted(json.loads(text)["data"].items())]


def findings(report: dict[str, Any]) -> dict[str, bool | None]:
    return {finding["name"]: finding["passed"] for finding in report["findings"]}


@contextmanager
def damaged(runner: CliRunner, change: str) -> Iterator[None]:
    """Dev's newest base backup, with its file ``change``d by one that does not know better; whole again afterwards."""
    folder = max((paths.state().buckets / gcs.BUCKET / runner.env / runner.source / "base").iterdir())
    (archive,) = folder.glob("data.tar")
    relation = runner.psql(runner.source, INDEX)
    whole = archive.read_bytes()
    try:
        if change == "cut off":
            archive.write_bytes(whole[: len(whole) // 3])
        else:
            with tarfile.open(archive) as content:
                begin = content.getmember(relation).offset_data
            # One letter of one entry of an index: nobody meets it who does not compare index and table. A page of the
            # table itself comes back whole with the WAL of a vacuum (wal_log_hints).
            at = whole.index(b"@example.org", begin + 100 * PAGE)
            archive.write_bytes(whole[:at] + b"@exbmple.org" + whole[at + 12 :])
        yield
    finally:
        archive.write_bytes(whole)


@contextmanager
def at_work(runner: CliRunner) -> Iterator[None]:
    """Another operator holds the environment's lease."""
    name, now = f"postgres-dr-{runner.env}", datetime.now(UTC).isoformat(timespec="microseconds")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "data"},
        "spec": {"holderIdentity": "bob@ops-2:8", "leaseDurationSeconds": 3600, "renewTime": now, "acquireTime": now},
    }
    runner.apply(json.dumps(lease))
    try:
        yield
    finally:
        runner.kubectl("delete", "lease", name, "-n", "data")


@pytest.fixture(autouse=True)
def nothing_left(dev: CliRunner) -> Iterator[None]:
    """Whatever a drill came to, nothing of it is there afterwards, and nothing else has changed."""
    before = untouched(dev)
    yield
    assert left_behind(dev) == ""
    assert json.dumps(untouched(dev), default=sorted) == json.dumps(before, default=sorted)


def test_a_drill_passes_and_tells_how_long_a_disaster_would_take(dev: CliRunner) -> None:
    # GIVEN rows that were written just now, of which the last are surely not archived
    history = dev.dr("status", "--env", dev.env).document["operations"]
    dev.psql(dev.source, "CREATE TABLE drilled AS SELECT generate_series(1, 1000) AS id")
    try:
        # WHEN
        outcome = drill(dev, "--latest")
    finally:
        dev.psql(dev.source, "DROP TABLE drilled")
    # THEN
    assert outcome.code == 0, outcome
    assert outcome.document["result"] == "passed"
    report = report_of(dev)
    asked = findings(report)
    assert all(
        asked[name] for name in ("users", "out of recovery", "rows", "amcheck", "extensions", "all else untouched")
    )
    assert (asked["pg_verifybackup"], False in asked.values()) == (None, False)
    # AND its RTO is what its phases add up to, each of which took some time
    rto = report["rto"]
    assert rto["seconds"] == pytest.approx(sum(rto["phases"].values()), abs=0.01)
    assert {"kubernetes", "baseBackup", "walReplay", "verification"} <= set(rto["phases"])
    assert rto["goalSeconds"] == 30 * 60
    # AND its RPO lies between two commits of the source
    assert report["rpo"]["lastAcknowledged"] is not None
    assert report["rpo"]["seconds"] >= 0
    assert report["versions"]["CloudNativePG"]
    # AND the cluster keeps it too, where it can be read from any machine
    assert in_cluster(dev)[-1] == report
    listed = dev.run("python", "-m", "dr", "report", "--env", dev.env, "--list", "--json")
    assert json.loads(listed)[-1]["id"] == report["id"]
    # AND no password is in anything that it left
    secret = dev.kubectl("get", "secret", f"{dev.source}-app", "-n", "data", "-o", "jsonpath={.data.password}")
    password = base64.b64decode(secret).decode()
    kept = [*dev.journal.with_suffix("").iterdir(), dev.journal]
    assert len(kept) >= 5
    assert not any(password in path.read_text() for path in kept)
    # AND it is no part of the history
    assert dev.dr("status", "--env", dev.env).document["operations"] == history


def test_a_moment_and_a_lot_can_be_drilled(dev: CliRunner) -> None:
    target = dev.database_time()
    time.sleep(0.2)
    # The commit is to be in the segment that is left: PostgreSQL stops at a time only where it meets a later one.
    switch = "SELECT pg_walfile_name(pg_switch_wal())"
    dev.await_archived(dev.psql_lines(dev.source, "CREATE TABLE later ()", "DROP TABLE later", switch)[-1])
    at_moment = drill(dev, "--target-time", target, "--quick")
    assert at_moment.code == 0, at_moment
    assert findings(report_of(dev))["last transaction"] is True
    by_lot = drill(dev, "--random", "--quick")
    assert by_lot.code == 0, by_lot
    assert by_lot.document["target"].startswith("targetLSN=")


def test_a_killed_drill_is_cleaned_up_by_the_next(dev: CliRunner) -> None:
    # GIVEN a drill that is killed while its scratch Cluster recovers
    process = dev.start("drill", "--env", dev.env)
    wait_for(lambda: dev.cluster(f"{dev.source}-drill"))
    time.sleep(3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left_behind(dev) != ""
    # WHEN
    outcome = drill(dev, "--quick")
    # THEN
    assert outcome.code == 0, outcome
    assert outcome.document["steps"][0]["key"] == "orphans"


def test_a_database_that_is_not_what_it_should_be_fails_the_drill(dev: CliRunner, tmp_path: Path) -> None:
    query = {"name": "users", "sql": "SELECT count(*) FROM users", "atLeast": 10**9}
    outcome = drill(dev.with_config(tmp_path, verification=[query]), "--quick")
    assert (outcome.code, outcome.problem_codes) == (VERIFICATION, ["drill-failed"])
    report = report_of(dev)
    assert (report["outcome"], report["failed"]["code"]) == ("failed", "drill-failed")
    assert findings(report)["users"] is False
    assert outcome.document["stopped"]["report"].endswith(f"{report['id']}.html")
    assert outcome.document["stopped"]["undo"] == []


def test_a_base_backup_that_is_cut_off_fails_the_drill(dev: CliRunner) -> None:
    with damaged(dev, "cut off"):
        outcome = drill(dev)
    assert outcome.code == RECOVERY, outcome
    report = report_of(dev)
    assert (report["outcome"], report["failed"]["step"], report["rto"]) == ("failed", "recover", None)
    assert (dev.journal.with_suffix("") / f"{report['id']}.log").stat().st_size > 500


def test_a_page_that_is_damaged_in_the_base_backup_fails_the_drill(dev: CliRunner) -> None:
    """The recovery itself goes well: nothing but reading every page finds it."""
    with damaged(dev, "overwritten"):
        outcome = drill(dev)
    assert (outcome.code, outcome.problem_codes) == (VERIFICATION, ["drill-failed"])
    assert findings(report_of(dev))["amcheck"] is False


def test_an_incident_comes_first(dev: CliRunner) -> None:
    # GIVEN somebody at work, a drill is refused
    with at_work(dev):
        refused = drill(dev)
    assert (refused.code, refused.problem_codes) == (REFUSED, ["incident-under-way"])
    # AND one that is under way ends as soon as somebody begins
    process = dev.start("drill", "--env", dev.env)
    wait_for(lambda: dev.cluster(f"{dev.source}-drill"))
    with at_work(dev):
        outcome = dev.finish(process)
    assert (outcome.code, outcome.problem_codes) == (INTERRUPTED, ["gave-way"])
