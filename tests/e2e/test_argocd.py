"""Under a real Argo CD with selfHeal everywhere: nothing is put back in mid-operation, and all is given back after."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, fresh_dev, lab
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

SETTLED_SECONDS = 5
"""Longer than selfHeal takes to answer: half a second, or two behind a parent (measured)."""


def applications(runner: CliRunner) -> dict[str, dict[str, Any]]:
    found = json.loads(runner.kubectl("get", "applications.argoproj.io", "-n", "argocd", "-o", "json"))
    return {item["metadata"]["name"]: item for item in found["items"]}


def states(runner: CliRunner) -> dict[str, tuple[str, str]]:
    statuses = {name: item["status"] for name, item in applications(runner).items()}
    return {name: (status["sync"]["status"], status["health"]["status"]) for name, status in statuses.items()}


def automated(runner: CliRunner) -> dict[str, Any]:
    """The automated sync of the Applications that have to do with dev."""
    return {
        name: item["spec"].get("syncPolicy", {}).get("automated")
        for name, item in applications(runner).items()
        if not name.startswith("prod")
    }


@dataclass(frozen=True)
class Managed:
    """A dev that Argo CD manages, how its Applications were set, and its recovery to a moment ago."""

    runner: CliRunner
    before: dict[str, Any]
    recovered: Outcome


@pytest.fixture(scope="module")
def managed(lab_variables: dict[str, str]) -> Iterator[Managed]:
    """Git declares the very field that a pause sets; where it does not, test_story.py has the whole incident."""
    dev = fresh_dev(lab_variables)
    lab("gitops", "on", "--git-declares-enabled")
    before = automated(dev)
    assert before["root"]["selfHeal"] is True
    yield Managed(dev, before, dev.pitr(dev.database_time(), "--yes"))
    dev.end_started()
    lab("gitops", "off")


def test_a_change_by_hand_is_put_back_as_long_as_nothing_is_paused(managed: Managed) -> None:
    # The control of the tests below: prod, which nobody has paused, heals.
    runner = managed.runner
    runner.kubectl("scale", "deployment", "tomoda-async", "-n", "prod", "--replicas=1")
    replicas = ("get", "deployment", "tomoda-async", "-n", "prod", "-o", "jsonpath={.spec.replicas}")
    wait_for(lambda: runner.kubectl(*replicas) == "2", seen=lambda: "Argo CD does not heal")


def test_the_writers_stay_stopped_during_and_after_the_recovery(managed: Managed) -> None:
    assert managed.recovered.code == 0, managed.recovered
    keys = [step["key"] for step in managed.recovered.document["steps"]]
    assert keys.index("pause-argocd") < keys.index("stop-writers")
    time.sleep(SETTLED_SECONDS)
    assert managed.runner.replicas() == {"tomoda-api": 0, "tomoda-async": 0}


def test_the_owner_is_paused_with_what_it_owns(managed: Managed) -> None:
    assert {name: setting["enabled"] for name, setting in automated(managed.runner).items()} == {
        "root": False,
        "dev-apps": False,
        "dev-postgres": False,
    }


def test_a_health_check_tells_of_the_pause(managed: Managed) -> None:
    assert managed.runner.health()["argocd"] == "warning"


def test_the_switchover_holds(managed: Managed) -> None:
    switched = managed.runner.dr("switchover", "--env", "dev", "--yes")
    assert switched.code == 0, switched
    time.sleep(SETTLED_SECONDS)
    assert "postgres-dev-recovered-rw" in managed.runner.external_names()
    assert managed.runner.replicas() == {"tomoda-api": 2, "tomoda-async": 2}


def test_after_the_rollback_argo_cd_manages_again_as_before(managed: Managed) -> None:
    runner = managed.runner
    back = runner.move("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    facts = {step["key"]: step["fact"] for step in back.document["steps"]}
    assert facts["release-argocd"].endswith("as before")
    wait_for(lambda: set(states(runner).values()) == {("Synced", "Healthy")}, seen=lambda: states(runner))
    assert automated(runner) == managed.before
    assert runner.health()["argocd"] == "ok"


def test_and_heals_again(managed: Managed) -> None:
    runner = managed.runner
    runner.kubectl("scale", "deployment", "tomoda-async", "-n", "dev", "--replicas=1")
    wait_for(lambda: runner.replicas()["tomoda-async"] == 2, seen=lambda: "Argo CD does not heal")
