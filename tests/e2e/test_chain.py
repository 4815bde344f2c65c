"""Killed after every step: each operation gets a signal after each of its steps in turn, and is resumed each time.

The end has to be that of a run that nobody disturbed: nothing lost, nothing done twice, nothing left behind.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lab import paths
from lab.platform.gcs import BUCKET
from tests.e2e.cli_runner import CliRunner, await_health, engine_processes, fresh_dev
from tests.e2e.journal_watch import Chain, stop_after_every_step
from tests.support.repositories import platform_in

pytestmark = pytest.mark.long

ROWS, ROWS_LEFT = 100_000, 50_000
SECOND = "postgres-dev-latest"
RUNNING, STOPPED = {"tomoda-api": 2, "tomoda-async": 2}, {"tomoda-api": 0, "tomoda-async": 0}


@dataclass(frozen=True)
class Story:
    """A dev that lost half of its users, and the signal that everything after gets."""

    runner: CliRunner
    number: signal.Signals
    target: str
    note: Callable[[str, object], None]

    def chain(self, *command: str, cluster: str = "", agreed: tuple[str, ...] = ("--yes",)) -> Chain:
        """The operation to its end, with the signal after every step."""
        name, *options = command
        words = (name, "--env", "dev", *options)
        worked_on = cluster or self.runner.recovered
        chain = stop_after_every_step(self.runner, self.number, *words, cluster=worked_on, agreed=agreed)
        self.note(f"{self.number.name} {name}", str(chain))
        print(f"\n{self.number.name} {name}: {chain}")
        assert len(chain.planned) >= 6, chain
        assert chain.signalled == chain.planned, f"not after every step: {chain}: {chain.last}"
        assert len(chain.stopped) >= len(chain.planned) - 1, f"not stopped every time: {chain}"
        assert chain.last.code == 0 or chain.stopped == chain.planned, f"{chain}: {chain.last}"
        assert len(chain.uids) == 1, f"the recovered Cluster was made more than once: {chain}"
        newest = self.status["operations"][-1]
        assert (newest["operation"], newest["outcome"]) == (name, "done"), newest
        assert self.status["remembered"] == ({} if name == "finalize" else RUNNING)
        assert engine_processes() == []
        return chain

    @property
    def status(self) -> dict[str, Any]:
        """What ``dr status`` says."""
        return self.runner.dr("status", "--env", "dev").document

    @property
    def record(self) -> dict[str, Any]:
        """The record in the cluster."""
        path = r"jsonpath={.data.record\.json}"
        found: dict[str, Any] = json.loads(
            self.runner.kubectl("get", "configmap", "postgres-dr-dev", "-n", "data", "-o", path)
        )
        return found

    def rows(self, cluster: str) -> int:
        """The users in one database."""
        return int(self.runner.psql(cluster, "SELECT count(*) FROM users"))

    def rows_served(self) -> int:
        """The users that the application sees."""
        answer = await_health(self.runner.health_url(), 200)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["users"])

    def made(self, kind: str) -> list[str]:
        """The names of what this tool has made of a kind."""
        words = ("get", kind, "-n", "data", "-l", "app.kubernetes.io/managed-by=postgres-dr", "-o", "name")
        return sorted(line.partition("/")[2] for line in self.runner.kubectl(*words).splitlines())

    def archives(self) -> list[str]:
        """The folders of the object store that recovered Clusters archive to, one a server name."""
        folder = paths.state().buckets / BUCKET / "dev"
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name != self.runner.source)


@pytest.fixture(scope="module", params=[signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def story(
    request: pytest.FixtureRequest, lab_variables: dict[str, str], record_testsuite_property: Callable[..., None]
) -> Iterator[Story]:
    dev = fresh_dev(lab_variables)
    target = dev.database_time()
    time.sleep(0.1)
    dev.psql(dev.source, "DELETE FROM users WHERE id % 2 = 0")
    yield Story(dev, request.param, target, record_testsuite_property)
    dev.end_started()


@pytest.fixture(scope="module")
def recovered(story: Story) -> Chain:
    return story.chain("pitr", "--target-time", story.target)


@pytest.fixture(scope="module")
def switched(story: Story, recovered: Chain) -> Chain:
    assert recovered.planned
    return story.chain("switchover")


@pytest.fixture(scope="module")
def rolled_back(story: Story, switched: Chain) -> Chain:
    assert switched.planned
    return story.chain("rollback")


@pytest.fixture(scope="module")
def recovered_again(story: Story, rolled_back: Chain) -> Chain:
    assert rolled_back.planned
    return story.chain("latest", "--recovered-name", SECOND, cluster=SECOND)


@pytest.fixture(scope="module")
def finalized(story: Story, recovered_again: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The end, with the platform's manifests in a repository of their own; nobody but a person applies them here."""
    assert recovered_again.planned
    moved = story.runner.dr("switchover", "--env", "dev", "--yes")
    assert moved.code == 0, moved
    assert moved.document["cluster"] == SECOND, "the newest recovery is what a switchover is about"
    repository = platform_in(tmp_path_factory.mktemp("platform"))
    agreed = ("--yes", "--confirm", story.runner.source)
    return story.chain("finalize", "--checkout", str(repository), cluster=SECOND, agreed=agreed)


def test_a_recovery_stopped_after_every_step_ends_as_if_undisturbed(story: Story, recovered: Chain) -> None:
    runner = story.runner
    assert (story.rows(runner.recovered), story.rows(runner.source)) == (ROWS, ROWS_LEFT), recovered
    assert story.made("cluster") == [runner.recovered]
    assert story.made("secret") == [f"{runner.recovered}-app", f"{runner.recovered}-ca"]
    assert story.archives() == [runner.recovered]
    assert runner.replicas() == STOPPED
    assert story.status["service"]["externalName"] == "postgres-dev-rw.data.svc.cluster.local"
    assert story.status["next"][0]["command"] == "python -m dr switchover --env dev"


def test_a_switchover_stopped_after_every_step_ends_as_if_undisturbed(story: Story, switched: Chain) -> None:
    runner = story.runner
    assert story.rows_served() == ROWS, switched
    assert story.status["service"]["externalName"] == "postgres-dev-recovered-rw.data.svc.cluster.local"
    assert runner.replicas() == RUNNING
    assert story.record["came_from"] == ["postgres-dev-rw.data.svc.cluster.local"]
    assert story.record["fenced"] == [runner.source]
    assert runner.try_psql(runner.source, "SELECT 1").returncode != 0
    assert story.made("backup") == [f"{runner.recovered}-first"]
    assert story.made("cluster") == [runner.recovered]


def test_a_rollback_stopped_after_every_step_ends_as_if_undisturbed(story: Story, rolled_back: Chain) -> None:
    runner = story.runner
    assert story.rows_served() == ROWS_LEFT, rolled_back
    assert story.status["service"]["externalName"] == "postgres-dev-rw.data.svc.cluster.local"
    assert runner.replicas() == RUNNING
    assert story.record["came_from"] == []
    assert story.record["fenced"] == [runner.recovered]
    assert runner.try_psql(runner.recovered, "SELECT 1").returncode != 0


def test_a_recovery_of_everything_stopped_after_every_step_ends_as_if_undisturbed(
    story: Story, recovered_again: Chain
) -> None:
    runner = story.runner
    assert (story.rows(SECOND), story.rows(runner.source)) == (ROWS_LEFT, ROWS_LEFT), recovered_again
    assert story.made("cluster") == [SECOND, runner.recovered]
    assert story.made("secret") == [f"{name}-{kind}" for name in (SECOND, runner.recovered) for kind in ("app", "ca")]
    assert story.archives() == [SECOND, runner.recovered]
    assert runner.replicas() == STOPPED
    assert story.status["service"]["externalName"] == "postgres-dev-rw.data.svc.cluster.local"


def test_an_end_stopped_after_every_step_is_the_end(story: Story, finalized: Chain) -> None:
    runner = story.runner
    assert finalized.planned == ["prove", "propose", "carry-over", "delete-old", "hand-over", "close"]
    assert (story.rows_served(), story.rows(SECOND)) == (ROWS_LEFT, ROWS_LEFT), finalized
    assert (runner.cluster(runner.source), runner.cluster(runner.recovered)) == (None, None)
    assert story.made("secret") == [f"{SECOND}-app", f"{SECOND}-ca"]
    schedules = runner.kubectl("get", "scheduledbackup", "-n", "data", "-o", "name").splitlines()
    assert [name.partition("/")[2] for name in schedules if "dev" in name] == [SECOND]
    assert story.archives() == [SECOND, runner.recovered], "what lies in the bucket is kept"
    assert story.status["canonical"] == SECOND
    assert story.record["recoveries"] == []
