"""What a recovery or a switchover leans on fails in its middle: the API server, the operator, a pod, the bucket.

Each time the end is the one of a quiet day, by itself or after a clear word and a ``resume``.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from lab import paths, processes
from tests.e2e import lab_bucket
from tests.e2e.cli_runner import PROJECT, CliRunner, Outcome, await_health, engine_processes, lab
from tests.e2e.journal_watch import Watched
from tests.support.waiting import HANG_SECONDS, wait_for

pytestmark = pytest.mark.long

LATE_ROW = """INSERT INTO users (email, name, location)
VALUES (gen_random_uuid() || '@example.org', 'Late', ST_SetSRID(ST_MakePoint(139.7, 35.7), 4326))"""
RUNNING = {"tomoda-api": 2, "tomoda-async": 2}
SOURCE_HOST, RECOVERED_HOST = (f"postgres-dev{name}-rw.data.svc.cluster.local" for name in ("", "-recovered"))


def restart_api_server() -> None:
    """kill -9, and up again."""
    record = processes.read(paths.state(), "apiserver")
    assert record is not None
    assert record.alive()
    os.kill(record.pid, signal.SIGKILL)
    lab("up")


def delete_at_once(runner: CliRunner, *pods: str) -> None:
    """Delete pods as the loss of their node would: without a goodbye."""
    runner.kubectl("delete", "pod", *pods, "--grace-period=0", "--force", "--wait=false")


def running(runner: CliRunner, *labels: str) -> list[str]:
    """The pods with these labels that run."""
    selector = f"cnpg.io/cluster={runner.recovered},{','.join(labels)}"
    only = "--field-selector=status.phase=Running"
    return runner.kubectl("get", "pod", "-n", "data", "-l", selector, only, "-o", "name").split()


@dataclass(frozen=True)
class Recovering:
    """A ``pitr`` of dev in its step ``recover``; its source has ``rows`` users at the target, and more after it."""

    runner: CliRunner
    run: Watched
    rows: int

    def await_pod(self, label: str) -> str:
        """Wait until a pod with this label runs."""
        wait_for(lambda: running(self.runner, label))
        return running(self.runner, label)[0].removeprefix("pod/")

    def assert_recovered(self, outcome: Outcome) -> None:
        """It is as if nothing had happened."""
        assert outcome.code == 0, outcome
        runner = self.runner
        # What was lost at the last moment may still be coming back.
        wait_for(lambda: running(runner, "cnpg.io/podRole=instance"))
        runner.kubectl("wait", "cluster", runner.recovered, "-n", "data", "--for=condition=Ready", "--timeout=300s")
        assert int(runner.psql(runner.recovered, "SELECT count(*) FROM users")) == self.rows
        status = runner.dr("status", "--env", "dev").document
        assert [cluster["name"] for cluster in status["clusters"]] == [runner.source, runner.recovered]
        assert all(cluster["healthy"] for cluster in status["clusters"])
        assert status["operations"][-1]["outcome"] == "done"
        assert status["remembered"] == RUNNING
        assert runner.replicas() == {"tomoda-api": 0, "tomoda-async": 0}
        assert engine_processes() == []


@pytest.fixture
def recovering(clean_dev: CliRunner) -> Recovering:
    rows = int(clean_dev.psql(clean_dev.source, "SELECT count(*) FROM users"))
    target = clean_dev.database_time()
    time.sleep(0.1)
    clean_dev.psql(clean_dev.source, LATE_ROW)
    run = Watched(clean_dev, "pitr", "--env", "dev", "--target-time", target, "--yes")
    assert run.begun("recover"), run.finish()
    return Recovering(clean_dev, run, rows)


def test_the_api_server_restarts_while_recovering(recovering: Recovering) -> None:
    wait_for(lambda: recovering.runner.cluster(recovering.runner.recovered))
    restart_api_server()
    recovering.assert_recovered(recovering.run.finish())


def test_the_operator_is_lost_while_recovering(recovering: Recovering) -> None:
    runner = recovering.runner
    recovering.await_pod("cnpg.io/jobRole=full-recovery")
    delete_at_once(runner, "-n", "cnpg-system", "-l", "app.kubernetes.io/name=cloudnative-pg")
    recovering.assert_recovered(recovering.run.finish())


def test_the_pod_that_restores_is_lost(recovering: Recovering) -> None:
    delete_at_once(recovering.runner, "-n", "data", recovering.await_pod("cnpg.io/jobRole=full-recovery"))
    recovering.assert_recovered(recovering.run.finish())


def test_the_pod_that_starts_is_lost(recovering: Recovering) -> None:
    delete_at_once(recovering.runner, "-n", "data", recovering.await_pod("cnpg.io/podRole=instance"))
    recovering.assert_recovered(recovering.run.finish())


def test_the_bucket_answers_503_for_a_minute(recovering: Recovering) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "lab", "fault", "bucket", "--seconds", "60"], cwd=PROJECT, stdout=subprocess.DEVNULL
    ) as fault:
        wait_for(lambda: lab_bucket.answer() == httpx.codes.SERVICE_UNAVAILABLE)
        assert running(recovering.runner, "cnpg.io/podRole=instance") == []
        outcome = recovering.run.finish()
        assert fault.wait(HANG_SECONDS) == 0
    assert lab_bucket.answer() == httpx.codes.OK
    recovering.assert_recovered(outcome)


@pytest.fixture
def moved_back(clean_dev: CliRunner) -> Iterator[CliRunner]:
    """A dev that was recovered, and whose traffic is at its source again after the test."""
    assert clean_dev.pitr(clean_dev.database_time(), "--yes").code == 0
    yield clean_dev
    assert clean_dev.move("rollback", "--env", "dev", "--yes").code == 0


@pytest.mark.parametrize("step", ["fence", "switch", "start-workloads"])
def test_the_api_server_restarts_during_a_switchover(moved_back: CliRunner, step: str) -> None:
    runner = moved_back
    rows = int(runner.psql(runner.recovered, "SELECT count(*) FROM users"))
    run = Watched(runner, "switchover", "--env", "dev", "--yes")
    assert run.begun(step), run.finish()

    restart_api_server()
    outcome = run.finish()
    if outcome.code != 0:
        # THEN it says what it met and how to go on, and going on leads to the end
        assert (outcome.code, outcome.problem_codes[0]) in {(5, "api-unreachable"), (6, "engine-failed")}, outcome
        assert outcome.document["stopped"]["goOn"] == "python -m dr switchover --env dev"
        outcome = runner.dr("resume", "--env", "dev", "--yes")

    assert outcome.code == 0, outcome
    assert await_health(runner.health_url(), 200).json()["users"] == rows
    status = runner.dr("status", "--env", "dev").document
    assert status["service"]["externalName"] == RECOVERED_HOST
    assert status["operations"][-1]["outcome"] == "done"
    assert runner.replicas() == RUNNING
    assert engine_processes() == []
