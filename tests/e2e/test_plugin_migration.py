"""From the in-tree object store to the Barman Cloud plugin by Git, and what was archived before serves after.

Each test is one chapter, and the next one begins where it ended.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.cluster import MANAGER
from tests.e2e.cli_runner import CliRunner, Outcome, await_health, fresh_dev, lab
from tests.support.repositories import platform_in
from tests.support.waiting import HANG_SECONDS, stopwatch, wait_for

pytestmark = pytest.mark.long

MANIFESTS = "k8s/envs/dev/middleware/postgres/manifests"
SIDECAR = "plugin-barman-cloud"


@dataclass(frozen=True)
class Story:
    """Dev as the lab makes it, and a checkout of the repository that declares it; nobody applies that by himself."""

    runner: CliRunner
    checkout: Path

    def git(self, *words: str) -> str:
        return self.runner.run("git", "-C", str(self.checkout), *words)

    def apply(self) -> None:
        """Apply what the checkout has as the one who applied it before, so that what is gone there goes."""
        folder = str(self.checkout / MANIFESTS)
        self.runner.kubectl("apply", "--server-side", "--force-conflicts", f"--field-manager={MANAGER}", "-f", folder)

    def await_sidecar(self) -> dict[str, Any]:
        """The Cluster once its pod has the plugin's sidecar, and it is healthy and archives."""
        path = "jsonpath={.spec.initContainers[*].name}"
        seen: list[object] = []

        def archives() -> dict[str, Any] | None:
            cluster = self.runner.cluster(self.runner.source) or {}
            known = self.runner.kubectl("get", "pod", "postgres-dev-1", "-n", "data", "--ignore-not-found", "-o", path)
            conditions = {one["type"]: one["status"] for one in cluster["status"].get("conditions") or ()}
            good = conditions.get("Ready") == conditions.get("ContinuousArchiving") == "True"
            seen[:] = [known, conditions, cluster["status"].get("phase")]
            return cluster if SIDECAR in known.split() and good and seen[-1] == "Cluster in healthy state" else None

        return wait_for(archives, 2 * HANG_SECONDS, seen=lambda: seen)


@pytest.fixture(scope="module")
def story(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    runner = fresh_dev(lab_variables)
    folder = tmp_path_factory.mktemp("platform")
    yield Story(runner, platform_in(folder, folder.as_uri()))
    runner.end_started()
    lab("reset")


@pytest.fixture(scope="module")
def migrated(story: Story) -> Outcome:
    story.runner.psql(story.runner.source, "UPDATE users SET name = 'archived in-tree' WHERE id = 1")
    return story.runner.dr("migrate-to-plugin", "--env", "dev", "--checkout", str(story.checkout))


def test_git_gets_a_branch_and_the_cluster_nothing(story: Story, migrated: Outcome) -> None:
    assert migrated.code == 0, migrated
    changed = story.git("diff", "--name-only", f"HEAD..{migrated.document['branch']}").splitlines()
    assert changed == [f"{MANIFESTS}/{name}.yaml" for name in ("backup", "cluster", "objectstore")]
    cluster = story.runner.cluster(story.runner.source)
    assert cluster is not None
    assert "plugins" not in cluster["spec"]


def test_once_it_is_applied_the_database_archives_by_the_plugin(story: Story, migrated: Outcome) -> None:
    story.git("merge", "--quiet", "--ff-only", migrated.document["branch"])
    # Nobody is connected: else the primary would wait for smartShutdownTimeout until it is restarted.
    story.runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    story.runner.kubectl("wait", "pod", "-n", "dev", "--for=delete", "--all", "--timeout=300s")
    took = stopwatch()
    story.apply()
    cluster = story.await_sidecar()
    print(f"\narchives by the plugin {took()} after it was applied")
    story.runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=2")
    assert "barmanObjectStore" not in json.dumps(cluster["spec"])
    assert cluster["spec"]["plugins"][0]["parameters"]["serverName"] == "postgres-dev"


def test_the_archive_of_before_and_after_is_one(story: Story, migrated: Outcome) -> None:
    # GIVEN a base backup that was taken in-tree, and WAL archived by the one and then by the other
    assert migrated.code == 0
    runner = story.runner
    runner.kubectl("rollout", "status", "deployment/tomoda-api", "-n", "dev", "--timeout=300s")
    await_health(runner.health_url(), 200)
    runner.psql(runner.source, "UPDATE users SET name = 'archived by the plugin' WHERE id = 2")
    target = runner.database_time()
    time.sleep(0.1)
    runner.psql(runner.source, "DROP TABLE users CASCADE")
    # WHEN it is recovered
    outcome = runner.pitr(target, "--yes")
    # THEN what was written before and after is there
    assert outcome.code == 0, outcome
    names = runner.psql(runner.recovered, "SELECT string_agg(name, ', ' ORDER BY id) FROM users WHERE id <= 2")
    assert names == "archived in-tree, archived by the plugin"
    window = runner.dr("window", "--env", "dev").document
    assert window["serving"] == "postgres-dev"


def test_it_is_finalized_with_the_plugins_own_place_in_git(story: Story, migrated: Outcome) -> None:
    assert migrated.code == 0
    runner = story.runner
    moved = runner.dr("switchover", "--env", "dev", "--yes")
    assert moved.code == 0, moved
    words = ("finalize", "--env", "dev", "--checkout", str(story.checkout), "--yes", "--confirm", runner.source)
    ended = runner.dr(*words)
    assert ended.code == 0, ended
    assert ended.document["result"] == "finalized"
    diff = story.git("diff", "-U0", f"HEAD..postgres-dr/dev-{runner.recovered}", "--", f"{MANIFESTS}/cluster.yaml")
    assert f"+        serverName: {runner.recovered}" in diff
    schedule = json.loads(runner.kubectl("get", "scheduledbackup", runner.recovered, "-n", "data", "-o", "json"))
    assert schedule["spec"]["method"] == "plugin"
    assert schedule["spec"]["pluginConfiguration"] == {"name": "barman-cloud.cloudnative-pg.io"}
    stores = runner.kubectl("get", "objectstore", "-n", "data", "-o", "name")
    assert stores.split() == ["objectstore.barmancloud.cnpg.io/postgres-dev"], "it serves the new one as well"
