"""Every command under an account that is allowed exactly what ``deploy/rbac/`` says for it, and no more; and no secret
that it was given turns up anywhere.

The tests are one story: each begins where the one before ended.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.accounts import Accounts
from tests.e2e.cli_runner import CliRunner, Outcome, await_health, fresh_dev
from tests.e2e.secret_leak import PlantedSecrets
from tests.support.repositories import platform_in
from tests.support.waiting import stopwatch

pytestmark = pytest.mark.long

NO_ACCESS = 5
AGREED = ("--env", "dev", "--yes")
PASSPHRASE = "a-passphrase-that-was-planted"


@dataclass(frozen=True)
class Story:
    """Dev with its accounts, Pulumi's state in a folder of its own, and the secrets that are given to it."""

    accounts: Accounts
    planted: PlantedSecrets
    state: Path
    note: Callable[[str, object], None]

    @property
    def admin(self) -> CliRunner:
        """The seat that sees everything."""
        return self.accounts.runner

    def under(self, group: str, *words: str) -> Outcome:
        """A command of somebody who may do that, and no more. What it says is kept, to be looked through."""
        took = stopwatch()
        outcome = self.accounts.under(group).dr(*words)
        self.planted.told.append(json.dumps(outcome.document) + outcome.stderr)
        self.note(f"{words[0]} under {group}", f"{outcome.code} after {took()}")
        return outcome


@pytest.fixture(scope="module")
def story(
    lab_variables: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    record_testsuite_property: Callable[[str, object], None],
) -> Iterator[Story]:
    place, state = tmp_path_factory.mktemp("accounts"), tmp_path_factory.mktemp("pulumi")
    runner = fresh_dev(lab_variables).with_config(place, stateBackend=f"file://{state}")
    runner = replace(runner, variables={**runner.variables, "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE})
    accounts = Accounts.made(runner, place)
    password = runner.kubectl(
        "get", "secret", "postgres-dev-app", "-n", "data", "-o", "go-template={{.data.password|base64decode}}"
    )
    secrets = {"passphrase": PASSPHRASE, "password": password, **accounts.tokens()}
    yield Story(accounts, PlantedSecrets(secrets), state, record_testsuite_property)
    accounts.remove()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The platform's manifests in a repository of their own."""
    return platform_in(tmp_path_factory.mktemp("platform"))


def done(outcome: Outcome) -> dict[str, Any]:
    """What a command that succeeded told."""
    assert outcome.code == 0, json.dumps(outcome.document, indent=1) + outcome.stderr
    return outcome.document


def test_whoever_looks_sees_everything(story: Story) -> None:
    for command in ("status", "window", "diagnose"):
        outcome = story.under("view", command, "--env", "dev")
        assert outcome.code in {0, 1}, outcome
        assert "forbidden" not in str(outcome.document), outcome
    (environment,) = story.under("view", "health", "--env", "dev").document["environments"]
    assert [check["name"] for check in environment["checks"] if check["state"] == "unknown"] == []


def test_whoever_looks_changes_nothing(story: Story) -> None:
    before = story.admin.footprint()
    words = ("pitr", "--env", "dev", "--target-time", story.admin.database_time(), "--yes")
    refused = story.under("view", *words)
    assert (refused.code, refused.problem_codes) == (NO_ACCESS, ["forbidden"]), refused
    assert story.admin.footprint() == before


def test_a_drill_under_its_account(story: Story) -> None:
    done(story.under("drill", "drill", "--env", "dev", "--quick"))
    refused = story.under("drill", "switchover", *AGREED)
    assert refused.code != 0, refused


def test_a_recovery_there_and_back_and_there_under_its_account(story: Story) -> None:
    runner = story.admin
    rows = int(runner.psql(runner.source, "SELECT count(*) FROM users"))
    target = runner.database_time()
    time.sleep(0.1)
    runner.psql(runner.source, "DELETE FROM users WHERE id % 2 = 0")
    with story.planted.watched() as seen:
        done(story.under("recover", "pitr", "--env", "dev", "--target-time", target, "--yes"))
        for command in ("switchover", "rollback", "switchover"):
            moved = story.under("recover", command, *AGREED)
            if moved.problem_codes == ["more-left-behind"]:
                moved = story.under("recover", command, *AGREED)
            done(moved)
    assert await_health(runner.health_url(), 200).json()["users"] == rows
    done(story.under("recover", "mark", "under-its-account", "--env", "dev"))
    # AND no process has shown a secret in its command line
    assert seen == {}


def test_whoever_recovers_may_not_delete_what_was(story: Story, checkout: Path) -> None:
    words = ("finalize", "--checkout", str(checkout), *AGREED, "--confirm", story.admin.source)
    refused = story.under("recover", *words)
    assert (refused.code, refused.problem_codes) == (NO_ACCESS, ["forbidden"]), refused
    assert story.admin.cluster(story.admin.source) is not None


def test_the_end_under_its_account(story: Story, checkout: Path) -> None:
    done(story.under("finalize", "finalize", "--checkout", str(checkout), *AGREED, "--confirm", story.admin.source))
    assert story.admin.cluster(story.admin.source) is None
    assert story.under("view", "status", "--env", "dev").document["canonical"] == story.admin.recovered


def test_no_secret_was_written_or_said(story: Story, checkout: Path) -> None:
    """In journal, reports, workspaces, state, Git; in the record, the lease and the reports that the cluster keeps."""
    kept = Path(story.admin.variables["DR_STATE_DIR"])
    assert (kept / "journal" / "dev.jsonl").exists()
    assert list(story.state.rglob("*.json")), "there is a state to look through"
    assert story.planted.below(kept, story.state, checkout) == {}
    assert [names for said in story.planted.told if (names := story.planted.in_text(said))] == []
    own = story.admin.kubectl("get", "configmap,lease", "-n", "data", "-o", "yaml")
    assert "postgres-dr-dev" in own
    assert story.planted.in_text(own) == set()
