"""The whole cluster is lost, and only the bucket is left of the data: ``full-rebuild`` brings all of it back.

The cluster is the lab itself: asked for one, the double of Google brings up a new, empty node. Each loss takes the lab
away from every other test, and is mended at the end, however the test went.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lab import paths
from lab.platform import gcs
from tests.e2e.cli_runner import PROJECT, CliRunner, Outcome, await_health, engine_processes, lab
from tests.e2e.journal_watch import Watched
from tests.support.waiting import HANG_SECONDS, stopwatch

pytestmark = pytest.mark.long

AGREED = ("--yes", "--confirm", "postgres-prod")
COMMAND = ("full-rebuild", "--env", "prod", *AGREED)
RESUME = ("resume", "--env", "prod", *AGREED)
REBUILT_WITHIN = 1500
ROWS = 7
KILLS = 10
INTO_A_STEP = 0.7
"""Seconds that a step runs before it is killed: it is in the middle of something then."""


@dataclass(frozen=True)
class Loss:
    """A cluster that is gone, and what there was before."""

    runner: CliRunner
    health: str
    acknowledged: list[int]
    """IDs of the rows whose commit was acknowledged, and then archived."""
    objects: frozenset[str]
    """What was in the bucket."""

    def rebuild(self, *command: str) -> Outcome:
        """Run it to its end."""
        took = stopwatch()
        outcome = self.runner.finish(self.runner.start(*command), REBUILT_WITHIN)
        print(f"\n{shlex.join(command)}: {took()}, {json.dumps(outcome.document.get('steps'))}")
        return outcome

    def serving(self) -> str:
        """The Cluster that the application is led to."""
        return self.runner.external_names().split()[-1].split("-rw.")[0]

    def assert_all_is_back(self) -> None:
        """The application answers, by a database with every acknowledged row; and nothing is missing in the bucket."""
        answer = await_health(self.health, httpx.codes.OK)
        assert answer.status_code == httpx.codes.OK, answer.text
        cluster = self.serving()
        ids = ",".join(map(str, self.acknowledged))
        found = self.runner.psql(cluster, f"SELECT count(*) FROM users WHERE id IN ({ids})")
        assert int(found) == len(self.acknowledged)
        assert answer.json()["users"] == int(self.runner.psql(cluster, "SELECT count(*) FROM users"))
        assert self.objects <= objects_of_bucket()
        written = httpx.post(self.health.replace("/health", "/users"), timeout=HANG_SECONDS)
        assert written.status_code == httpx.codes.CREATED, written.text


def objects_of_bucket() -> frozenset[str]:
    folder = paths.state().buckets / gcs.BUCKET
    return frozenset(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def lose(runner: CliRunner) -> Loss:
    """Write rows that are acknowledged, wait until they are archived, and lose the cluster."""
    health = runner.health_url()
    users = health.replace("/health", "/users")
    acknowledged = [int(httpx.post(users, timeout=HANG_SECONDS).raise_for_status().json()["id"]) for _ in range(ROWS)]
    runner.await_archived(runner.psql(runner.source, "SELECT pg_walfile_name(pg_switch_wal())"))
    loss = Loss(runner, health, acknowledged, objects_of_bucket())
    lab("cluster", "gone")
    return loss


@pytest.fixture(scope="module")
def loss(lab_variables: dict[str, str]) -> Iterator[Loss]:
    """Prod's cluster is lost, once for all tests here that look at one rebuild."""
    yield from _lost(lab_variables)


@pytest.fixture
def another_loss(lab_variables: dict[str, str]) -> Iterator[Loss]:
    yield from _lost(lab_variables)


def _lost(variables: dict[str, str]) -> Iterator[Loss]:
    runner = CliRunner("prod", variables, Path(variables["DR_CONFIG_DIR"]))
    if runner.journal.exists():
        lab("reset")
    try:
        yield lose(runner)
    finally:
        runner.end_started()
        lab("up")
        lab("reset")


def test_it_comes_back_with_every_row_that_was_archived(loss: Loss) -> None:
    outcome = loss.rebuild(*COMMAND)
    assert outcome.code == 0, outcome
    loss.assert_all_is_back()
    assert engine_processes() == []


def test_a_second_time_there_is_nothing_to_do(loss: Loss) -> None:
    calls, before = lab("google", "calls"), loss.runner.footprint()
    outcome = loss.rebuild(*COMMAND)
    assert outcome.code == 0, outcome
    assert lab("google", "calls") == calls
    assert loss.runner.footprint()["spec"] == before["spec"]
    loss.assert_all_is_back()


def test_the_stack_of_the_bucket_cannot_be_destroyed(loss: Loss) -> None:
    config = loss.runner.config_dir / "Pulumi.durable.yaml"
    words = ["pulumi", "destroy", "--non-interactive", "--yes", "--cwd", str(PROJECT), "--config-file", str(config)]
    by_hand = {
        "PULUMI_BACKEND_URL": f"file://{paths.state().pulumi}",
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    done = subprocess.run(
        [*words, "--stack", "organization/postgres-dr/durable"],
        env={**os.environ, **loss.runner.variables, **by_hand},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "backup-bucket" in done.stdout + done.stderr
    assert loss.objects <= objects_of_bucket()


def test_killed_in_each_of_its_steps_it_is_gone_on_with(another_loss: Loss) -> None:
    runner, command = another_loss.runner, COMMAND
    killed: list[str] = []
    took = stopwatch()
    while True:
        run = Watched(runner, *command, limit=REBUILT_WITHIN)
        step = run.at_another(killed)
        if step is None:
            last = run.finish(REBUILT_WITHIN)
            break
        time.sleep(INTO_A_STEP)
        run.process.send_signal(signal.SIGKILL)
        killed.append(step)
        run.finish()
        command = RESUME
    print(f"\nkilled in {len(killed)} steps, {took()} ({', '.join(killed)})")
    assert last.code == 0, last
    assert len(killed) >= KILLS
    another_loss.assert_all_is_back()
