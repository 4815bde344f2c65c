"""A whole incident under a real Argo CD: broken, recovered, broken again, recovered again, and ended in Git.

Each test is one chapter, and the next one begins where it ended.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health, clone_of_git, engine_processes, fresh_dev, lab
from tests.e2e.journal_watch import stop_after_every_step
from tests.e2e.test_argocd import automated, states
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

SECOND = "postgres-dev-recovered-2"
MANIFESTS = "k8s/envs/dev/middleware/postgres/manifests"
REPORTER = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: dev}
spec:
  schedule: "0 4 1 1 *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "never-run:1"}]
---
apiVersion: postgresql.cnpg.io/v1
kind: Pooler
metadata: {name: pool, namespace: data}
spec:
  cluster: {name: postgres-dev}
  instances: 1
  type: rw
  pgbouncer: {poolMode: session}
"""
"""What would write by itself. The Pooler's own pods cannot run here: the lab has no PgBouncer image."""


@dataclass
class Story:
    """Dev under Argo CD, and what was seen on the way."""

    runner: CliRunner
    clone: Path
    settings: dict[str, Any]
    written: list[int] = field(default_factory=list)

    def write(self) -> None:
        """A row through the application."""
        answer = httpx.post(self.runner.health_url().removesuffix("/health") + "/users", timeout=HANG_SECONDS)
        assert answer.status_code == 201, answer.text
        self.written.append(answer.json()["id"])

    def kept(self, cluster: str) -> int:
        """How many of the rows that the application wrote are there."""
        ids = ",".join(map(str, self.written))
        return int(self.runner.psql(cluster, f"SELECT count(*) FROM users WHERE id IN ({ids})"))

    def git(self, *words: str) -> str:
        return self.runner.run("git", "-C", str(self.clone), *words)

    def finalize(self, *words: str, checkout: Path | None = None) -> Outcome:
        return self.runner.dr("finalize", "--env", "dev", "--checkout", str(checkout or self.clone), *words)

    def break_and_recover(self, cluster: str) -> Outcome:
        """Drop the table of ``cluster``, recover to just before, and move the traffic."""
        target = self.runner.database_time_of(cluster)
        time.sleep(0.1)
        self.runner.psql(cluster, "DROP TABLE users CASCADE")
        moved = self.runner.pitr(target, "--yes", "--switchover")
        assert moved.code == 0, moved
        assert await_health(self.runner.health_url(), 200).status_code == 200
        return moved


@pytest.fixture(scope="module")
def story(lab_variables: dict[str, str]) -> Iterator[Story]:
    runner = fresh_dev(lab_variables)
    lab("gitops", "on")
    subprocess.run(
        ["kubectl", "--context", "lab-dev", "apply", "-f", "-"],
        env={**lab_variables},
        input=REPORTER,
        text=True,
        check=True,
        capture_output=True,
    )
    yield Story(runner, clone_of_git(), automated(runner))
    runner.end_started()
    runner.kubectl("delete", "cronjob,hpa", "--all", "-n", "dev")
    lab("gitops", "off")


def suspended(runner: CliRunner) -> str:
    return runner.kubectl("get", "cronjob", "report", "-n", "dev", "-o", "jsonpath={.spec.suspend}")


def paused(runner: CliRunner) -> str:
    return runner.kubectl("get", "pooler", "pool", "-n", "data", "-o", "jsonpath={.spec.pgbouncer.paused}")


def test_the_first_generation(story: Story) -> None:
    story.write()
    moved = story.break_and_recover("postgres-dev")
    first, second = moved.document, moved.document["switchover"]
    assert {"hold", "pause-argocd"} <= {step["key"] for step in first["steps"]}
    assert "let-go" in {step["key"] for step in second["steps"]}
    assert (first["result"], second["result"]) == ("recovered", "moved")
    assert story.kept("postgres-dev-recovered") == 1


def test_what_writes_by_itself_was_held_and_runs_again(story: Story) -> None:
    # The CronJob is let go; the Pooler leads to the Cluster that was left, and waits.
    assert (suspended(story.runner), paused(story.runner)) == ("false", "true")


def test_the_second_generation_has_what_was_written_to_the_first(story: Story) -> None:
    story.write()
    story.break_and_recover("postgres-dev-recovered")
    story.write()
    assert story.kept(SECOND) == 3


def test_another_repository_or_a_dirty_one_is_refused(story: Story, tmp_path: Path) -> None:
    before = story.runner.footprint()
    other = tmp_path / "other"
    subprocess.run(["git", "init", "--quiet", str(other)], check=True)
    refused = story.finalize("--yes", checkout=other)
    assert (refused.code, refused.problem_codes) == (4, ["checkout-of-another-repository"])
    manifest = story.clone / MANIFESTS / "cluster.yaml"
    text = manifest.read_text()
    manifest.write_text(text + "# mine\n")
    dirty = story.finalize("--yes")
    manifest.write_text(text)
    assert (dirty.code, dirty.problem_codes) == (4, ["checkout-dirty"])
    assert story.runner.footprint() == before


def test_git_comes_first_and_nothing_is_deleted_for_it(story: Story) -> None:
    before, head = story.runner.footprint(), story.git("rev-parse", "HEAD")
    proposed = story.finalize("--yes")
    assert proposed.code == 0, proposed
    assert proposed.document["result"] == "proposed"
    assert story.runner.footprint() == before
    assert story.git("rev-parse", "HEAD") == head, "the checkout itself was moved"
    changed = story.git("diff", "--name-only", f"HEAD..{proposed.document['branch']}").splitlines()
    assert changed == [f"{MANIFESTS}/{name}.yaml" for name in ("backup", "cluster", "service")]
    cluster = story.git("show", f"{proposed.document['branch']}:{MANIFESTS}/cluster.yaml")
    assert "deliberately not all defaults" in cluster, "comments are kept"
    assert "bootstrap:" not in cluster


def test_as_long_as_it_is_not_merged_nothing_goes(story: Story) -> None:
    again = story.finalize("--yes")
    assert (again.code, again.document["result"]) == (0, "proposed")
    assert story.runner.cluster("postgres-dev") is not None


def test_once_merged_the_old_ones_name_has_to_be_typed(story: Story) -> None:
    story.git("merge", "--quiet", "--ff-only", f"postgres-dr/dev-{SECOND}")
    story.git("push", "--quiet", "origin", "HEAD")
    before = story.runner.footprint()
    for words in (["--yes"], ["--yes", "--confirm", SECOND]):
        assert story.finalize(*words).code == 2
    assert story.runner.footprint() == before


def test_the_end_though_it_is_killed_after_every_step(
    story: Story, record_testsuite_property: Callable[..., None]
) -> None:
    command = ("finalize", "--env", "dev", "--checkout", str(story.clone))
    agreed = ("--yes", "--confirm", "postgres-dev")
    chain = stop_after_every_step(story.runner, signal.SIGKILL, *command, cluster=SECOND, agreed=agreed)
    record_testsuite_property("SIGKILL finalize", str(chain))
    assert chain.planned == ["prove", "carry-over", "delete-old", "hand-over", "release-argocd", "close"]
    assert chain.signalled == chain.planned, chain
    assert len(chain.uids) == 1, "the Cluster that serves was never touched"
    newest = story.runner.dr("status", "--env", "dev").document["operations"][-1]
    assert (newest["operation"], newest["outcome"]) == ("finalize", "done")
    assert engine_processes() == []


def test_argo_cd_manages_all_of_it_again_and_is_content(story: Story) -> None:
    assert set(states(story.runner).values()) == {("Synced", "Healthy")}
    assert automated(story.runner) == story.settings
    assert story.settings["dev-postgres"]["selfHeal"] is True
    tracked = story.runner.kubectl("get", "cluster", SECOND, "-n", "data", "-o", "jsonpath={.metadata.annotations}")
    assert "argocd.argoproj.io/tracking-id" in tracked


def test_nothing_is_left_of_the_old_ones(story: Story) -> None:
    kinds = "cluster,pvc,pod,secret,service,backup,scheduledbackup,pooler,configmap,serviceaccount"
    jsonpath = r"jsonpath={range .items[*]}{.kind}/{.metadata.name}{'\n'}{end}"
    names = story.runner.kubectl("get", kinds, "-n", "data", "-o", jsonpath).splitlines()
    of_dev = {name.split("/")[1] for name in names if "postgres-dev" in name}
    assert {name for name in of_dev if not name.startswith(SECOND)} == set()
    schedules = [name for name in names if name.startswith("ScheduledBackup/postgres-dev")]
    assert schedules == [f"ScheduledBackup/{SECOND}"]


def test_the_rows_are_there_and_the_application_works(story: Story) -> None:
    assert story.kept(SECOND) == 3
    story.write()
    assert int(story.runner.psql(SECOND, "SELECT count(*) FROM users")) == 100_004
    assert story.runner.replicas() == {"tomoda-api": 2, "tomoda-async": 2}


def test_there_is_no_way_back_any_more_and_it_says_so(story: Story) -> None:
    before = story.runner.footprint()
    refused = story.runner.dr("rollback", "--env", "dev", "--yes")
    assert (refused.code, refused.problem_codes) == (4, ["already-finalized"])
    again = story.finalize("--yes", "--confirm", "postgres-dev")
    assert (again.code, again.problem_codes) == (4, ["not-switched-over"])
    assert story.runner.footprint() == before


def test_the_next_recovery_comes_from_what_is_canonical_now(story: Story) -> None:
    status = story.runner.dr("status", "--env", "dev").document
    assert status["canonical"] == SECOND
    plan = story.runner.pitr(story.runner.database_time_of(SECOND), "--dry-run").document["plan"]
    assert plan["facts"]["Source"].startswith(f"data/{SECOND},")
    assert "data/postgres-dev-recovered-3," in plan["facts"]["Recovered"]


def test_pulumi_by_hand_has_nothing_to_change(story: Story) -> None:
    assert "unchanged" in story.runner.preview_by_hand()
