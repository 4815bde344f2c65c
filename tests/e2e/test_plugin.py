"""A database that archives by the Barman Cloud plugin: recovered, switched to and back, by the same commands.

Each test is one chapter, and the next one begins where it ended.
"""

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import paths
from lab.platform.gcs import BUCKET
from tests.e2e.cli_runner import CliRunner, Outcome, await_health, lab
from tests.e2e.test_extract import writing
from tests.support.waiting import stopwatch

pytestmark = pytest.mark.long

REFUSED, RECOVERY = 4, 7
PLUGIN = "barman-cloud.cloudnative-pg.io"
OPERATORS = "cnpg-system"
AGREED = ("--yes",)


@dataclass(frozen=True)
class Plugged:
    """Dev with its database archiving by the plugin, and where measured times go."""

    runner: CliRunner
    note: Callable[[str, object], None]

    def timed(self, what: str, outcome: Outcome) -> Outcome:
        """``outcome``, with how long its Cluster took from creation to healthy noted."""
        assert outcome.code == 0, outcome
        recover = next(step for step in outcome.document["steps"] if step["key"] == "recover")
        self.note(what, recover["fact"])
        print(f"\n{what}: {recover['fact']}")
        return outcome

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.runner.kubectl("get", kind, "-n", "data", "-o", "json"))["items"]
        return found


@pytest.fixture(scope="module")
def plugged(lab_variables: dict[str, str], record_testsuite_property: Callable[..., None]) -> Iterator[Plugged]:
    lab("reset", "--plugin")
    runner = CliRunner("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    yield Plugged(runner, record_testsuite_property)
    runner.end_started()
    lab("reset")


def test_the_window_is_read_from_the_bucket_as_ever(plugged: Plugged) -> None:
    outcome = plugged.runner.dr("window", "--env", "dev")
    assert outcome.code == 0, outcome
    assert outcome.document["serving"] == "postgres-dev"

    (archive,) = outcome.document["archives"]
    end = archive["windows"][-1]["to"]
    assert end["lastCommit"] <= end["archivedAt"]


def test_its_health_is_that_of_any_database(plugged: Plugged) -> None:
    known = {"operator-version"}  # the lab's operator grows old
    assert {name for name, state in plugged.runner.health().items() if state != "ok"} <= known


def test_a_plugin_that_is_down_is_refused_at_once(plugged: Plugged) -> None:
    runner = plugged.runner
    runner.kubectl("scale", "deployment/barman-cloud", "-n", OPERATORS, "--replicas=0")
    runner.kubectl("wait", "pod", "-l", "app=barman-cloud", "-n", OPERATORS, "--for=delete", "--timeout=300s")
    try:
        outcome = runner.pitr(runner.database_time(), "--dry-run")
        assert (outcome.code, outcome.problem_codes) == (REFUSED, ["plugin-unavailable"]), outcome
        assert runner.health()["plugin"] == "critical"
    finally:
        runner.kubectl("scale", "deployment/barman-cloud", "-n", OPERATORS, "--replicas=1")
        runner.kubectl("rollout", "status", "deployment/barman-cloud", "-n", OPERATORS, "--timeout=300s")
    assert runner.pitr(runner.database_time(), "--dry-run").code == 0
    assert runner.health()["plugin"] == "ok"


def test_a_missing_object_store_is_refused_at_once(plugged: Plugged, tmp_path: Path) -> None:
    runner = plugged.runner
    kept = tmp_path / "objectstore.json"
    found = json.loads(runner.kubectl("get", "objectstore", "postgres-dev", "-n", "data", "-o", "json"))
    found["metadata"] = {key: found["metadata"][key] for key in ("name", "namespace")}
    kept.write_text(json.dumps(found))
    target = runner.database_time()
    runner.kubectl("delete", "objectstore", "postgres-dev", "-n", "data")
    try:
        outcome = runner.pitr(target, "--dry-run")
        assert (outcome.code, outcome.problem_codes) == (REFUSED, ["object-store-missing"]), outcome
    finally:
        runner.kubectl("apply", "-f", str(kept))


def test_a_target_behind_the_archive_fails_while_cloudnativepg_still_tries(plugged: Plugged) -> None:
    # GIVEN a target after which nothing was committed, and no sealing of the WAL
    runner = plugged.runner
    runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    runner.kubectl("wait", "pod", "-n", "dev", "--for=delete", "--all", "--timeout=300s")
    target = runner.database_time()
    # WHEN it is recovered to
    insisting = ("--override", f"target-outside={runner.recovered}")
    failed = runner.pitr(target, *AGREED, "--skip-seal", *insisting)
    # THEN the sidecar's and PostgreSQL's logs have told it, long before CloudNativePG does
    assert (failed.code, failed.problem_codes) == (RECOVERY, ["recovery-target-not-reached"]), failed
    assert runner.still_tries(runner.recovered)
    # AND the next try is clean, be it CloudNativePG's own that is under way, or a Cluster made anew
    plugged.timed("plugin: the try after a failed one", runner.pitr(target, *AGREED, "--continue"))
    runner.delete_recovered()


def test_one_table_comes_out_of_the_plugins_archive_while_others_write(plugged: Plugged) -> None:
    # GIVEN a table that was dropped, and a client that inserts into another
    runner = plugged.runner
    runner.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    runner.psql(runner.source, "CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    runner.psql(runner.source, "CREATE TABLE lost AS SELECT generate_series(1, 1000) AS id")
    with writing(runner) as acknowledged:
        runner.psql(runner.source, "DROP TABLE lost")
        before = len(acknowledged)
        # WHEN
        words = ("--env", "dev", "--table", "lost", "--before-drop", "--swap")
        outcome = plugged.timed("plugin: extract", runner.dr("extract", *words, *AGREED))
    # THEN it is back, and no row that was acknowledged is missing
    assert runner.psql(runner.source, "SELECT count(*) FROM lost") == "1000"
    assert outcome.document["rows"] == 1000
    assert len(acknowledged) > before
    assert int(runner.psql(runner.source, "SELECT count(*) FROM ledger")) == len(acknowledged)
    assert "scratch" not in runner.kubectl("get", "cluster,pvc", "-n", "data", "-o", "name")
    folders = sorted(entry.name for entry in (paths.state().buckets / BUCKET / "dev").iterdir() if entry.is_dir())
    assert not any("scratch" in name for name in folders), "the scratch Cluster archived"


def test_a_dropped_table_comes_back(plugged: Plugged) -> None:
    runner = plugged.runner
    runner.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    runner.psql(runner.source, "UPDATE users SET name = 'kept' WHERE id = 1")
    runner.psql(runner.source, "DROP TABLE users CASCADE")

    took = stopwatch()
    outcome = plugged.timed("plugin: pitr", runner.dr("pitr", "--env", "dev", "--before-drop", "users", *AGREED))
    whole = took()
    plugged.note("plugin: from the command to verified", whole)
    print(f"from the command to verified {whole}")

    assert runner.psql(runner.recovered, "SELECT count(*) >= 100000 FROM users") == "t"
    assert runner.psql(runner.recovered, "SELECT name FROM users WHERE id = 1") == "kept"
    # The folder of the attempt that failed is not empty: it got WAL before it failed, or not; either is its own.
    assert outcome.document["serverName"].startswith(runner.recovered)


def test_it_archives_by_the_plugin_to_a_folder_of_its_own(plugged: Plugged) -> None:
    found = plugged.runner.cluster(plugged.runner.recovered)
    assert found is not None
    (plugin,) = found["spec"]["plugins"]
    (origin,) = found["spec"]["externalClusters"]
    assert plugin["name"] == PLUGIN
    assert plugin["parameters"]["serverName"].startswith(plugged.runner.recovered)
    assert origin["plugin"]["parameters"]["serverName"] == "postgres-dev"
    assert "barmanObjectStore" not in json.dumps(found["spec"])


def test_the_traffic_moves_there_and_a_base_backup_is_taken_by_the_plugin(plugged: Plugged) -> None:
    runner = plugged.runner
    moved = runner.dr("switchover", "--env", "dev", *AGREED)
    assert moved.code == 0, moved
    assert await_health(runner.health_url(), 200).status_code == 200
    window = runner.dr("window", "--env", "dev").document
    assert window["serving"].startswith(runner.recovered)
    (first,) = [one for one in plugged.objects("backup") if one["metadata"]["name"] == f"{window['serving']}-first"]
    assert (first["spec"]["method"], first["status"]["phase"]) == ("plugin", "completed")


def test_what_was_recovered_can_itself_be_recovered(plugged: Plugged) -> None:
    runner = plugged.runner
    rows = runner.psql(runner.recovered, "SELECT count(*) FROM users")
    outcome = plugged.timed("plugin: latest, second generation", runner.dr("latest", "--env", "dev", *AGREED))
    assert runner.psql(f"{runner.recovered}-2", "SELECT count(*) FROM users") == rows
    (command,) = outcome.document["next"]
    for words in (shlex.split(command)[3:], ["rollback", "--env", "dev"]):
        moved = runner.move(*words, *AGREED)
        assert moved.code == 0, moved
