"""A client that stays connected through a Pooler in session mode, which a pause does not stop."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import paths
from lab.images import pgbouncer
from lab.steps import Task
from tests.e2e.cli_runner import CliRunner
from tests.e2e.one_session import TABLE, OneSession, one_session
from tests.support.ledger import announced_in
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

VERIFICATION = 8
POOLER = f"""
apiVersion: postgresql.cnpg.io/v1
kind: Pooler
metadata: {{name: pool, namespace: data}}
spec:
  cluster: {{name: postgres-dev}}
  instances: 1
  type: rw
  pgbouncer: {{poolMode: session}}
  template:
    metadata: {{labels: {{app: pool}}}}
    spec:
      containers: [{{name: pgbouncer, image: "{pgbouncer.TAG}"}}]
"""


@pytest.fixture
def pooled(clean_dev: CliRunner, tmp_path: Path) -> Iterator[CliRunner]:
    """Dev with a Pooler that runs."""
    pgbouncer.have(paths.state(), paths.cache(), Task(tmp_path / "image.log", threading.Event()))
    clean_dev.psql(clean_dev.source, TABLE)
    clean_dev.apply(POOLER)
    try:
        clean_dev.kubectl("wait", "deployment/pool", "-n", "data", "--for=create", "--timeout=60s")
        clean_dev.kubectl("rollout", "status", "deployment/pool", "-n", "data", "--timeout=300s")
        yield clean_dev
    finally:
        clean_dev.delete(POOLER)
        clean_dev.psql(clean_dev.source, "DROP TABLE session")


def through_the_pooler(runner: CliRunner) -> str:
    """The address of its Service."""
    return runner.kubectl("get", "service", "pool", "-n", "data", "-o", "jsonpath={.spec.clusterIP}")


def plan_of_switchover(runner: CliRunner, client: OneSession) -> None:
    """The plan names the client, and the number of what it has written so far."""
    written = len(client.acknowledged)
    plan = runner.dr("switchover", "--env", "dev", "--dry-run").document["plan"]
    assert any("Also connected to postgres-dev: tomoda from data/pool-" in warning for warning in plan["warnings"]), (
        plan
    )
    announced = announced_in([plan], "Left behind")
    assert announced
    assert announced >= written


def test_a_session_through_a_paused_pooler_is_named_and_all_that_it_wrote_is_kept(pooled: CliRunner) -> None:
    """E7. The pause of a Pooler waits for the end of each session, and this one has none."""
    runner = pooled
    target = runner.database_time()
    with one_session(runner, through_the_pooler(runner)) as client:
        plan = runner.pitr(target, "--dry-run").document["plan"]
        assert "Pooler data/pool" in next(step["detail"] for step in plan["steps"] if step["key"] == "hold")
        # WHEN dev is recovered, for which the Pooler is paused
        recovered = runner.pitr(target, "--yes")
        assert recovered.code == 0, recovered
        # THEN the session goes on in the old database, and the plan of the switchover says so
        client.await_more()
        plan_of_switchover(runner, client)
        # AND what it writes between plan and fence stops the command before traffic moves
        before = runner.external_names()
        moved = runner.dr("switchover", "--env", "dev", "--yes")
        assert (moved.code, moved.problem_codes) == (VERIFICATION, ["more-left-behind"]), moved
        assert runner.external_names() == before
        assert client.over.wait(HANG_SECONDS)
    # AND the next one, whose number is the final one, moves it
    again = runner.dr("switchover", "--env", "dev", "--yes")
    assert again.code == 0, again
    # AND all that was acknowledged is where it was left
    back = runner.move("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    assert client.missing(runner, runner.source) == []
