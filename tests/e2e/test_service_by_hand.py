"""Somebody moves the Service by hand between a recovery and its switchover, and starts the application there."""

import time

import httpx
import pytest

from tests.e2e.cli_runner import CliRunner, await_health
from tests.support.ledger import announced_in
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

HOST = "postgres-dev-recovered-rw.data.svc.cluster.local"


def test_a_service_that_was_patched_by_hand_is_no_reason_to_leave_the_old_database_open(clean_dev: CliRunner) -> None:
    # GIVEN a row after the target, and traffic that was moved by hand, with a row that came by it
    runner = clean_dev
    target = runner.database_time()
    time.sleep(0.1)
    late = runner.psql(runner.source, "INSERT INTO jobs (worker) VALUES ('late') RETURNING id")
    recovered = runner.pitr(target, "--yes")
    assert recovered.code == 0, recovered
    service = ("service", "postgres-postgresql", "-n", "data")
    runner.kubectl("patch", *service, "--type=merge", "-p", f'{{"spec": {{"externalName": "{HOST}"}}}}')
    runner.kubectl("scale", "deployment", "tomoda-api", "-n", "dev", "--replicas=2")
    await_health(runner.health_url(), 200)
    answer = httpx.post(runner.health_url().removesuffix("/health") + "/users", timeout=HANG_SECONDS)
    assert answer.status_code == 201, answer.text
    row = f"SELECT count(*) FROM users WHERE id = {answer.json()['id']}"
    # WHEN
    plan = runner.dr("switchover", "--env", "dev", "--dry-run").document["plan"]
    moved = runner.dr("switchover", "--env", "dev", "--yes")
    # THEN the plan says what it found, and counts; the old database takes no writes, and the row is there
    assert any("points to postgres-dev-recovered already" in warning for warning in plan["warnings"]), plan
    assert (announced_in([plan], "Left behind") or 0) >= 1
    assert moved.code == 0, moved
    assert runner.try_psql(runner.source, "SELECT 1").returncode != 0
    assert runner.psql(runner.recovered, row) == "1"
    assert HOST in runner.external_names()
    # AND the way back leads to where the application was before all this, and says what stays
    plan = runner.dr("rollback", "--env", "dev", "--dry-run").document["plan"]
    assert (announced_in([plan], "Left behind") or 0) >= 1
    back = runner.move("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    assert "postgres-dev-rw" in runner.external_names()
    assert runner.psql(runner.source, f"SELECT count(*) FROM jobs WHERE id = {late}") == "1"
    assert runner.psql(runner.source, row) == "0"
