"""Moving the traffic to a recovered database and back, with the application as the judge."""

import json
import shlex
import signal
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health, fresh_dev
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def broken(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    """A dev whose users table was dropped, and that was recovered to just before, with fresh data beforehand."""
    dev = fresh_dev(lab_variables)
    target = dev.database_time()
    time.sleep(0.1)
    dev.psql(dev.source, "DROP TABLE users CASCADE")
    outcome = dev.pitr(target, "--yes")
    assert outcome.code == 0, outcome
    assert outcome.document["next"] == ["python -m dr switchover --env dev"]
    yield dev
    dev.end_started()


@pytest.fixture(scope="module")
def switched(broken: CliRunner) -> Outcome:
    return broken.dr("switchover", "--env", "dev", "--yes")


def test_before_anything_is_moved_the_switchover_is_what_status_offers(broken: CliRunner) -> None:
    status = broken.dr("status", "--env", "dev")
    assert status.code == 0
    assert status.document["next"][0]["command"] == "python -m dr switchover --env dev"
    assert [entry["outcome"] for entry in status.document["operations"]] == ["done"]


def test_a_dry_run_tells_what_stays_behind_and_moves_nothing(broken: CliRunner) -> None:
    before = broken.footprint()
    plan = broken.dr("switchover", "--env", "dev", "--dry-run").document["plan"]
    assert "transaction" in plan["facts"]["Left behind"]
    assert broken.footprint() == before


def test_the_application_works_again_through_the_same_service(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0, switched
    assert switched.document["smokeTest"].startswith("200")
    assert "postgres-dev-recovered-rw" in broken.external_names()
    assert broken.replicas() == {"tomoda-api": 2, "tomoda-async": 2}
    answer = await_health(broken.health_url(), 200)
    assert (answer.status_code, answer.json()["users"] >= 100_000) == (200, True)


def test_the_service_is_declared_and_not_patched_by_hand(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    managers = json.loads(
        broken.kubectl("get", "service", "postgres-postgresql", "-n", "data", "--show-managed-fields", "-o", "json")
    )["metadata"]["managedFields"]
    owners = [entry["manager"] for entry in managers if "f:externalName" in entry["fieldsV1"].get("f:spec", {})]
    assert owners == ["postgres-dr"]


def test_the_old_cluster_takes_no_more_writes_and_keeps_its_data(broken: CliRunner, switched: Outcome) -> None:
    assert switched.document["fenced"] == "postgres-dev"
    written = broken.try_psql("postgres-dev", "SELECT 1")
    assert written.returncode != 0
    assert broken.cluster("postgres-dev") is not None


def test_a_client_that_verifies_the_name_it_uses_is_content(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    settings = "host=postgres-postgresql.data.svc.cluster.local user=tomoda dbname=tomoda sslmode=verify-full"
    said = broken.in_pod(
        f"{broken.recovered}-1",
        *("psql", "-w", "-d", f"{settings} sslrootcert=/controller/certificates/server-ca.crt", "-c", "SELECT 1"),
    )
    # It comes as far as the password, which it does not have: the certificate was accepted.
    assert "no password supplied" in said.stderr


def test_what_is_written_now_goes_to_the_recovered_cluster(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    url = broken.health_url().removesuffix("/health")
    answer = httpx.post(f"{url}/users", timeout=HANG_SECONDS)
    assert answer.status_code == 201, answer.text
    assert broken.psql(broken.recovered, f"SELECT count(*) FROM users WHERE id = {answer.json()['id']}") == "1"


def test_the_rollback_leads_back_and_says_what_the_application_says_there(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    back = broken.move("rollback", "--env", "dev", "--yes")
    # THEN the traffic is back at the database without the table, and the smoke test tells it
    assert (back.code, back.problem_codes) == (8, ["smoke-test-failed"]), back
    assert "switchover --env dev" in back.document["problems"][0]["remedy"]
    assert "postgres-dev-rw" in broken.external_names()
    assert broken.psql("postgres-dev", "SELECT 1") == "1"
    assert broken.try_psql(broken.recovered, "SELECT 1").returncode != 0


def test_and_forward_again_this_time_with_the_old_one_hibernated(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    again = broken.move("switchover", "--env", "dev", "--yes", "--hibernate-old")
    assert again.code == 0, again
    assert broken.kubectl("get", "pods", "-n", "data", "-l", "cnpg.io/cluster=postgres-dev", "-o", "name") == ""
    assert broken.kubectl("get", "pvc", "-n", "data", "-l", "cnpg.io/cluster=postgres-dev", "-o", "name") != ""
    assert await_health(broken.health_url(), 200).status_code == 200
    status = broken.dr("status", "--env", "dev").document
    assert [cluster["name"] for cluster in status["clusters"] if cluster["serves"]] == [broken.recovered]
    assert status["next"][0]["command"] == "python -m dr rollback --env dev"


def test_without_anything_unfinished_there_is_nothing_to_resume(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    outcome = broken.dr("resume", "--env", "dev", "--yes")
    assert (outcome.code, outcome.problem_codes) == (4, ["nothing-to-resume"])


def test_a_second_operator_is_kept_out_and_told_who_is_at_work(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    first = broken.start("rollback", "--env", "dev", "--yes")
    broken.await_step("rollback", "remember")
    second = broken.dr("switchover", "--env", "dev", "--yes")
    first.send_signal(signal.SIGINT)
    broken.finish(first)
    assert second.code in {4, 6}, second
    assert second.problem_codes[0] in {"another-operator", "state-locked"}
    assert broken.move("switchover", "--env", "dev", "--yes").code == 0


def test_a_switchover_to_a_cluster_that_is_not_there_is_refused(broken: CliRunner, switched: Outcome) -> None:
    assert switched.code == 0
    before = broken.footprint()
    outcome = broken.dr("switchover", "--env", "dev", "--yes", "--recovered-name", "postgres-dev-other")
    assert (outcome.code, outcome.problem_codes) == (4, ["recovered-missing"])
    assert broken.footprint() == before


def test_the_recovered_database_is_recovered_when_it_is_broken_in_turn(broken: CliRunner, switched: Outcome) -> None:
    # GIVEN a row that only the recovered database has, and then its table dropped
    assert switched.code == 0
    answer = httpx.post(broken.health_url().removesuffix("/health") + "/users", timeout=HANG_SECONDS)
    assert answer.status_code == 201, answer.text
    target = broken.database_time_of(broken.recovered)
    time.sleep(0.1)
    broken.psql(broken.recovered, "DROP TABLE users CASCADE")
    # WHEN
    again = broken.pitr(target, "--yes")
    assert again.code == 0, again
    assert (again.document["cluster"], again.document["serverName"]) == (
        "postgres-dev-recovered-2",
        "postgres-dev-recovered-2",
    )
    (command,) = again.document["next"]
    moved = broken.dr(*shlex.split(command)[3:], "--yes")
    # THEN
    assert moved.code == 0, moved
    assert "postgres-dev-recovered-2-rw" in broken.external_names()
    row = f"SELECT count(*) FROM users WHERE id = {answer.json()['id']}"
    assert broken.psql("postgres-dev-recovered-2", row) == "1"
    assert await_health(broken.health_url(), 200).status_code == 200
