"""Every command under an account that is allowed exactly what ``deploy/rbac/`` says for it, and no more.

The tests are one story: each begins where the one before ended.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.data.repository import files
from tests.e2e.accounts import Accounts
from tests.e2e.operator_seat import await_health, fresh_dev

pytestmark = pytest.mark.long

NO_ACCESS = 5
AGREED = ("--env", "dev", "--yes")


@pytest.fixture(scope="module")
def accounts(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    made = Accounts.made(fresh_dev(lab_variables), tmp_path_factory.mktemp("accounts"))
    yield made
    made.remove()


@pytest.fixture(scope="module")
def checkout(accounts: Accounts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The platform's manifests in a repository of their own."""
    repository = tmp_path_factory.mktemp("platform")
    for path, text in files("https://git.example.test/platform", declares_enabled=False).items():
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(text)
    git = ("git", "-C", str(repository))
    accounts.seat.run(*git, "init", "--quiet")
    for key, value in (("user.name", "ann"), ("user.email", "ann@example.test")):
        accounts.seat.run(*git, "config", key, value)
    accounts.seat.run(*git, "add", "--all")
    accounts.seat.run(*git, "commit", "--quiet", "--message=The platform")
    return repository


def test_whoever_looks_sees_everything(accounts: Accounts) -> None:
    seat = accounts.under("view")
    for command in ("status", "window", "diagnose"):
        outcome = seat.dr(command, "--env", "dev")
        assert outcome.code in {0, 1}, outcome
        assert "forbidden" not in str(outcome.document), outcome
    health = seat.dr("health", "--env", "dev")
    (environment,) = health.document["environments"]
    assert [check["name"] for check in environment["checks"] if check["state"] == "unknown"] == [], health


def test_whoever_looks_changes_nothing(accounts: Accounts) -> None:
    before = accounts.seat.footprint()
    seat = accounts.under("view")
    refused = seat.pitr(accounts.seat.database_time(), "--yes")
    assert (refused.code, refused.problem_codes) == (NO_ACCESS, ["forbidden"]), refused
    assert accounts.seat.footprint() == before


def test_a_drill_under_its_account(accounts: Accounts) -> None:
    drilled = accounts.under("drill").dr("drill", "--env", "dev", "--quick")
    assert drilled.code == 0, drilled
    refused = accounts.under("drill").dr("switchover", *AGREED)
    assert refused.code != 0, refused


def test_a_recovery_there_and_back_and_there_under_its_account(accounts: Accounts) -> None:
    seat = accounts.under("recover")
    rows = int(accounts.seat.psql(accounts.seat.source, "SELECT count(*) FROM users"))
    target = accounts.seat.database_time()
    time.sleep(0.1)
    accounts.seat.psql(accounts.seat.source, "DELETE FROM users WHERE id % 2 = 0")
    recovered = seat.pitr(target, "--yes")
    assert recovered.code == 0, recovered
    for command in ("switchover", "rollback", "switchover"):
        moved = seat.dr(command, *AGREED)
        assert moved.code == 0, moved
    assert await_health(accounts.seat.health_url(), 200).json()["users"] == rows
    assert seat.dr("mark", "under-its-account", "--env", "dev").code == 0


def test_whoever_recovers_may_not_delete_what_was(accounts: Accounts, checkout: Path) -> None:
    refused = accounts.under("recover").dr(
        "finalize", "--checkout", str(checkout), *AGREED, "--confirm", accounts.seat.source
    )
    assert (refused.code, refused.problem_codes) == (NO_ACCESS, ["forbidden"]), refused
    assert accounts.seat.cluster(accounts.seat.source) is not None


def test_the_end_under_its_account(accounts: Accounts, checkout: Path) -> None:
    ended = accounts.under("finalize").dr(
        "finalize", "--checkout", str(checkout), *AGREED, "--confirm", accounts.seat.source
    )
    assert ended.code == 0, ended
    assert accounts.seat.cluster(accounts.seat.source) is None
    assert accounts.under("view").dr("status", "--env", "dev").document["canonical"] == accounts.seat.recovered
