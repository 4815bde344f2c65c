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
from tests.e2e.operator_seat import Outcome, Seat, await_health, lab
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

    seat: Seat
    note: Callable[[str, object], None]

    def timed(self, what: str, outcome: Outcome) -> Outcome:
        """``outcome``, with how long its Cluster took from creation to healthy noted."""
        assert outcome.code == 0, outcome
        recover = next(step for step in outcome.document["steps"] if step["key"] == "recover")
        self.note(what, recover["fact"])
        print(f"\n{what}: {recover['fact']}")
        return outcome

    def objects(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.seat.kubectl("get", kind, "-n", "data", "-o", "json"))["items"]
        return found


@pytest.fixture(scope="module")
def plugged(lab_variables: dict[str, str], record_testsuite_property: Callable[..., None]) -> Iterator[Plugged]:
    lab("reset", "--plugin")
    seat = Seat("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    yield Plugged(seat, record_testsuite_property)
    seat.end_started()
    lab("reset")


def test_the_window_is_read_from_the_bucket_as_ever(plugged: Plugged) -> None:
    outcome = plugged.seat.dr("window", "--env", "dev")
    assert outcome.code == 0, outcome
    assert outcome.document["serving"] == "postgres-dev"

    (archive,) = outcome.document["archives"]
    end = archive["windows"][-1]["to"]
    assert end["lastCommit"] <= end["archivedAt"]


def test_its_health_is_that_of_any_database(plugged: Plugged) -> None:
    known = {"operator-version"}  # the lab's operator grows old
    assert {name for name, state in plugged.seat.health().items() if state != "ok"} <= known


def test_a_plugin_that_is_down_is_refused_at_once(plugged: Plugged) -> None:
    seat = plugged.seat
    seat.kubectl("scale", "deployment/barman-cloud", "-n", OPERATORS, "--replicas=0")
    seat.kubectl("wait", "pod", "-l", "app=barman-cloud", "-n", OPERATORS, "--for=delete", "--timeout=300s")
    try:
        outcome = seat.pitr(seat.database_time(), "--dry-run")
        assert (outcome.code, outcome.problem_codes) == (REFUSED, ["plugin-unavailable"]), outcome
        assert seat.health()["plugin"] == "critical"
    finally:
        seat.kubectl("scale", "deployment/barman-cloud", "-n", OPERATORS, "--replicas=1")
        seat.kubectl("rollout", "status", "deployment/barman-cloud", "-n", OPERATORS, "--timeout=300s")
    assert seat.pitr(seat.database_time(), "--dry-run").code == 0
    assert seat.health()["plugin"] == "ok"


def test_a_missing_object_store_is_refused_at_once(plugged: Plugged, tmp_path: Path) -> None:
    seat = plugged.seat
    kept = tmp_path / "objectstore.json"
    found = json.loads(seat.kubectl("get", "objectstore", "postgres-dev", "-n", "data", "-o", "json"))
    found["metadata"] = {key: found["metadata"][key] for key in ("name", "namespace")}
    kept.write_text(json.dumps(found))
    target = seat.database_time()
    seat.kubectl("delete", "objectstore", "postgres-dev", "-n", "data")
    try:
        outcome = seat.pitr(target, "--dry-run")
        assert (outcome.code, outcome.problem_codes) == (REFUSED, ["object-store-missing"]), outcome
    finally:
        seat.kubectl("apply", "-f", str(kept))


def test_a_target_behind_the_archive_fails_while_cloudnativepg_still_tries(plugged: Plugged) -> None:
    # GIVEN a target after which nothing was committed, and no sealing of the WAL
    seat = plugged.seat
    seat.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    seat.kubectl("wait", "pod", "-n", "dev", "--for=delete", "--all", "--timeout=300s")
    target = seat.database_time()
    # WHEN it is recovered to
    insisting = ("--override", f"target-outside={seat.recovered}")
    failed = seat.pitr(target, *AGREED, "--skip-seal", *insisting)
    # THEN the sidecar's and PostgreSQL's logs have told it, long before CloudNativePG does
    assert (failed.code, failed.problem_codes) == (RECOVERY, ["recovery-target-not-reached"]), failed
    assert seat.still_tries(seat.recovered)
    # AND the next try is clean, be it CloudNativePG's own that is under way, or a Cluster made anew
    plugged.timed("plugin: the try after a failed one", seat.pitr(target, *AGREED, "--continue"))
    seat.delete_recovered()


def test_one_table_comes_out_of_the_plugins_archive_while_others_write(plugged: Plugged) -> None:
    # GIVEN a table that was dropped, and a client that inserts into another
    seat = plugged.seat
    seat.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    seat.psql(seat.source, "CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)")
    seat.psql(seat.source, "CREATE TABLE lost AS SELECT generate_series(1, 1000) AS id")
    with writing(seat) as acknowledged:
        seat.psql(seat.source, "DROP TABLE lost")
        before = len(acknowledged)
        # WHEN
        words = ("--env", "dev", "--table", "lost", "--before-drop", "--swap")
        outcome = plugged.timed("plugin: extract", seat.dr("extract", *words, *AGREED))
    # THEN it is back, and no row that was acknowledged is missing
    assert seat.psql(seat.source, "SELECT count(*) FROM lost") == "1000"
    assert outcome.document["rows"] == 1000
    assert len(acknowledged) > before
    assert int(seat.psql(seat.source, "SELECT count(*) FROM ledger")) == len(acknowledged)
    assert "scratch" not in seat.kubectl("get", "cluster,pvc", "-n", "data", "-o", "name")
    folders = sorted(entry.name for entry in (paths.state().buckets / BUCKET / "dev").iterdir() if entry.is_dir())
    assert not any("scratch" in name for name in folders), "the scratch Cluster archived"


def test_a_dropped_table_comes_back(plugged: Plugged) -> None:
    seat = plugged.seat
    seat.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    seat.psql(seat.source, "UPDATE users SET name = 'kept' WHERE id = 1")
    seat.psql(seat.source, "DROP TABLE users CASCADE")

    took = stopwatch()
    outcome = plugged.timed("plugin: pitr", seat.dr("pitr", "--env", "dev", "--before-drop", "users", *AGREED))
    whole = took()
    plugged.note("plugin: from the command to verified", whole)
    print(f"from the command to verified {whole}")

    assert seat.psql(seat.recovered, "SELECT count(*) >= 100000 FROM users") == "t"
    assert seat.psql(seat.recovered, "SELECT name FROM users WHERE id = 1") == "kept"
    # The folder of the attempt that failed is not empty: it got WAL before it failed, or not; either is its own.
    assert outcome.document["serverName"].startswith(seat.recovered)


def test_it_archives_by_the_plugin_to_a_folder_of_its_own(plugged: Plugged) -> None:
    found = plugged.seat.cluster(plugged.seat.recovered)
    assert found is not None
    (plugin,) = found["spec"]["plugins"]
    (origin,) = found["spec"]["externalClusters"]
    assert plugin["name"] == PLUGIN
    assert plugin["parameters"]["serverName"].startswith(plugged.seat.recovered)
    assert origin["plugin"]["parameters"]["serverName"] == "postgres-dev"
    assert "barmanObjectStore" not in json.dumps(found["spec"])


def test_the_traffic_moves_there_and_a_base_backup_is_taken_by_the_plugin(plugged: Plugged) -> None:
    seat = plugged.seat
    moved = seat.dr("switchover", "--env", "dev", *AGREED)
    assert moved.code == 0, moved
    assert await_health(seat.health_url(), 200).status_code == 200
    window = seat.dr("window", "--env", "dev").document
    assert window["serving"].startswith(seat.recovered)
    (first,) = [one for one in plugged.objects("backup") if one["metadata"]["name"] == f"{window['serving']}-first"]
    assert (first["spec"]["method"], first["status"]["phase"]) == ("plugin", "completed")


def test_what_was_recovered_can_itself_be_recovered(plugged: Plugged) -> None:
    seat = plugged.seat
    rows = seat.psql(seat.recovered, "SELECT count(*) FROM users")
    outcome = plugged.timed("plugin: latest, second generation", seat.dr("latest", "--env", "dev", *AGREED))
    assert seat.psql(f"{seat.recovered}-2", "SELECT count(*) FROM users") == rows
    (command,) = outcome.document["next"]
    for words in (shlex.split(command)[3:], ["rollback", "--env", "dev"]):
        moved = seat.dr(*words, *AGREED)
        assert moved.code == 0, moved
