"""Under Argo CD: somebody presses Sync in mid-operation. A pause keeps automated syncs away, and not that one.

It must hold, or be found out with a clear word: never silently undo what the operation relies on.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health, engine_processes, fresh_dev, lab
from tests.e2e.journal_watch import Watched
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

RUNNING, STOPPED = {"tomoda-api": 2, "tomoda-async": 2}, {"tomoda-api": 0, "tomoda-async": 0}
OURS = ("root", "dev-apps", "dev-postgres")


def application(runner: CliRunner, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        runner.kubectl("get", "applications.argoproj.io", name, "-n", "argocd", "-o", "json")
    )
    return found


def press_sync(runner: CliRunner, name: str) -> None:
    """What Argo CD's Sync button does, with a hard refresh; returns when the sync is over."""
    before = application(runner, name)["status"].get("operationState", {}).get("startedAt")
    body = {
        "metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}},
        "operation": {"initiatedBy": {"username": "somebody"}, "sync": {"prune": True}},
    }
    runner.kubectl("patch", "applications.argoproj.io", name, "-n", "argocd", "--type", "merge", "-p", json.dumps(body))

    def over() -> Any:
        state = application(runner, name)["status"].get("operationState", {})
        return state if state.get("startedAt") != before and state.get("phase") not in {"Running", None} else None

    state = wait_for(over)
    assert state["phase"] == "Succeeded", state


def settings(runner: CliRunner) -> dict[str, tuple[bool, str]]:
    """Of the Applications that have to do with dev: whether each syncs by itself, and its sync status."""
    found = {name: application(runner, name) for name in OURS}
    return {
        name: (item["spec"]["syncPolicy"]["automated"].get("enabled", True), item["status"]["sync"]["status"])
        for name, item in found.items()
    }


def await_settings(runner: CliRunner, name: str, wanted: tuple[bool, str]) -> None:
    wait_for(lambda: settings(runner)[name] == wanted, seen=lambda: settings(runner))


@pytest.fixture(scope="module")
def managed(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    dev = fresh_dev(lab_variables)
    lab("gitops", "on")
    yield dev
    dev.end_started()
    lab("gitops", "off")


@pytest.fixture(scope="module")
def disturbed(managed: CliRunner) -> Outcome:
    """A recovery in whose middle the stopped workloads are synced."""
    run = Watched(managed, "latest", "--env", "dev", "--yes")
    assert run.begun("recover"), run.finish()
    press_sync(managed, "dev-apps")
    assert managed.replicas() == RUNNING, "the sync has not started them: the test shows nothing"
    return run.finish()


def test_writers_that_a_sync_started_while_recovering_are_found_out(managed: CliRunner, disturbed: Outcome) -> None:
    assert (disturbed.code, disturbed.problem_codes) == (10, ["writers-came-back"]), disturbed
    assert "tomoda-api 2, tomoda-async 2" in disturbed.document["problems"][0]["cause"]
    assert {name: enabled for name, (enabled, _) in settings(managed).items()} == dict.fromkeys(OURS, False)


@pytest.fixture(scope="module")
def resumed(managed: CliRunner, disturbed: Outcome) -> Outcome:
    assert disturbed.code != 0
    return managed.dr("resume", "--env", "dev", "--yes")


def test_the_recovery_is_resumed_to_its_end_with_the_writers_stopped_again(
    managed: CliRunner, resumed: Outcome
) -> None:
    assert resumed.code == 0, resumed
    assert managed.replicas() == STOPPED
    assert int(managed.psql(managed.recovered, "SELECT count(*) FROM users")) == 100_000
    assert {name: enabled for name, (enabled, _) in settings(managed).items()} == dict.fromkeys(OURS, False)
    # AND Argo CD sees the difference, and leaves it alone
    await_settings(managed, "dev-apps", (False, "OutOfSync"))
    assert managed.replicas() == STOPPED


# A later switchover finds its base backup taken, and is over before a sync could come: that one is first.
@pytest.mark.parametrize("step", ["back-up", "fence", "start-workloads"])
def test_a_service_that_a_sync_puts_back_is_found_out(managed: CliRunner, resumed: Outcome, step: str) -> None:
    # GIVEN a switchover in whose middle the Service is synced
    assert resumed.code == 0
    run = Watched(managed, "switchover", "--env", "dev", "--yes")
    if not run.begun(step):
        # After a rollback the workloads run, and may have added to what stays behind.
        assert run.finish().problem_codes == ["more-left-behind"]
        run = Watched(managed, "switchover", "--env", "dev", "--yes")
        assert run.begun(step), run.finish()
    press_sync(managed, "dev-postgres")
    disturbed = run.finish()
    if disturbed.problem_codes == ["more-left-behind"]:
        disturbed = managed.dr("resume", "--env", "dev", "--yes")
    # THEN it went on to the recovered database, which the sync came too early for, or says that it was undone
    if step == "fence":
        assert disturbed.code == 0, disturbed
    else:
        assert (disturbed.code, disturbed.problem_codes) == (10, ["service-put-back"]), disturbed
        assert managed.dr("resume", "--env", "dev", "--yes").code == 0
    # AND at its end all is as it has to be
    assert "postgres-dev-recovered-rw" in managed.external_names()
    assert managed.replicas() == RUNNING
    assert await_health(managed.health_url(), 200).json()["users"] == 100_000
    assert managed.try_psql(managed.source, "SELECT 1").returncode != 0
    found = settings(managed)
    assert {name: enabled for name, (enabled, _) in found.items()} == dict.fromkeys(OURS, False)
    assert engine_processes() == []
    # AND the way back is there
    assert managed.move("rollback", "--env", "dev", "--yes").code == 0


def test_in_the_end_argo_cd_manages_as_before(managed: CliRunner, resumed: Outcome) -> None:
    assert resumed.code == 0
    for name in OURS:
        await_settings(managed, name, (True, "Synced"))
