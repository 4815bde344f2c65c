"""Under a real Argo CD whose Applications are made by an ApplicationSet: it is paused before them, and given back."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.e2e.cli_runner import CliRunner, Outcome, clone_of_git, fresh_dev, lab
from tests.e2e.test_argocd import SETTLED_SECONDS, applications, automated, states
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

APPLICATIONS = "k8s/argocd/apps"
MEMBERS = ("dev-apps", "dev-postgres")
RUNNING = {"tomoda-api": 2, "tomoda-async": 2}


def application_set(members: list[dict[str, Any]]) -> dict[str, Any]:
    """An ApplicationSet ``dev`` that makes just these Applications."""
    (first, *_) = members
    elements = [
        {
            "name": member["metadata"]["name"],
            "path": member["spec"]["source"]["path"],
            "namespace": member["spec"]["destination"]["namespace"],
        }
        for member in members
    ]
    spec = {
        **first["spec"],
        "source": {**first["spec"]["source"], "path": "{{path}}"},
        "destination": {**first["spec"]["destination"], "namespace": "{{namespace}}"},
    }
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "dev", "namespace": "argocd"},
        "spec": {
            "generators": [{"list": {"elements": elements}}],
            "template": {"metadata": {"name": "{{name}}"}, "spec": spec},
        },
    }


@dataclass(frozen=True)
class Managed:
    """A dev whose Applications a set makes, which is itself declared by the root; and how all was set."""

    runner: CliRunner
    before: dict[str, Any]

    @property
    def policy(self) -> dict[str, Any] | None:
        """The set's own policy of how it changes its Applications."""
        words = ("get", "applicationset", "dev", "-n", "argocd", "-o", "json")
        policy: dict[str, Any] | None = json.loads(self.runner.kubectl(*words))["spec"].get("syncPolicy")
        return policy


def made_by_the_set(runner: CliRunner) -> bool:
    found = applications(runner)
    owners = {name: found.get(name, {}).get("metadata", {}).get("ownerReferences", []) for name in MEMBERS}
    return all([owner["kind"] for owner in each] == ["ApplicationSet"] for each in owners.values())


def at_rest(runner: CliRunner) -> bool:
    return all("status" in item for item in applications(runner).values()) and set(states(runner).values()) == {
        ("Synced", "Healthy")
    }


@pytest.fixture(scope="module")
def managed(lab_variables: dict[str, str]) -> Iterator[Managed]:
    """Git is changed so that a set declares what Applications of their own declared before."""
    dev = fresh_dev(lab_variables)
    lab("gitops", "on")
    clone = clone_of_git()
    files = [clone / APPLICATIONS / f"{name}.yaml" for name in MEMBERS]
    declared = application_set([yaml.safe_load(file.read_text()) for file in files])
    for file in files:
        file.unlink()
    (clone / APPLICATIONS / "dev.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    for words in (("add", "--all"), ("commit", "--quiet", "--message=A set makes dev's"), ("push", "--quiet")):
        dev.run("git", "-C", str(clone), *words)
    wait_for(lambda: made_by_the_set(dev))
    wait_for(lambda: at_rest(dev))
    yield Managed(dev, automated(dev))
    dev.end_started()
    lab("gitops", "off")


def test_the_set_undoes_a_pause_of_what_it_made(managed: Managed) -> None:
    # The control of the tests below: a pause of the Applications alone would not hold.
    runner = managed.runner
    patch = {"spec": {"syncPolicy": {"automated": {"enabled": False}}}}
    words = ("patch", "applications.argoproj.io", "dev-apps", "-n", "argocd", "--type", "merge")
    runner.kubectl(*words, "-p", json.dumps(patch))
    wait_for(lambda: automated(runner) == managed.before)


@pytest.fixture(scope="module")
def recovered(managed: Managed) -> Outcome:
    return managed.runner.pitr(managed.runner.database_time(), "--yes", "--switchover")


def test_the_set_is_paused_after_what_declares_it_and_before_what_it_made(managed: Managed, recovered: Outcome) -> None:
    assert recovered.code == 0, recovered
    facts = {step["key"]: step["fact"] for step in recovered.document["steps"]}
    order = ["Application argocd/root", "ApplicationSet argocd/dev", "Application argocd/dev-apps"]
    assert sorted(order, key=facts["pause-argocd"].index) == order, facts["pause-argocd"]
    assert managed.policy == {"applicationsSync": "create-only"}


def test_the_pause_holds(managed: Managed, recovered: Outcome) -> None:
    assert recovered.code == 0, recovered
    time.sleep(SETTLED_SECONDS)
    assert {name: setting["enabled"] for name, setting in automated(managed.runner).items()} == dict.fromkeys(
        ("root", *MEMBERS), False
    )
    assert "postgres-dev-recovered-rw" in managed.runner.external_names()


def test_after_the_rollback_the_set_rules_again(managed: Managed, recovered: Outcome) -> None:
    assert recovered.code == 0, recovered
    runner = managed.runner
    back = runner.move("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    wait_for(lambda: at_rest(runner))
    assert automated(runner) == managed.before
    assert managed.policy in (None, {})
    assert runner.replicas() == RUNNING
    # AND undoes again what somebody changes by hand
    runner.kubectl("scale", "deployment", "tomoda-async", "-n", "dev", "--replicas=1")
    wait_for(lambda: runner.replicas() == RUNNING)
