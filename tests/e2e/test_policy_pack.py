"""The policy pack in the real engine, over the durable stack at the double of Google's cloud."""

import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from lab.environment import environment
from tests.e2e.cli_runner import PROJECT
from tests.e2e.pulumi_cli import Checkout
from tests.support.google import serving_google

pytestmark = pytest.mark.long


class Owner(Checkout):
    """Who has the durable stack up, and the pack with every ``up``."""

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.folder / "Pulumi.durable.yaml"
        document = yaml.safe_load(path.read_text())
        change(document["config"])
        path.write_text(yaml.safe_dump(document))

    def up(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.pulumi("up", "--yes", "--policy-pack", "policy", *words)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "state").mkdir()
    with serving_google(folder / "cloud.json") as google:
        variables = {
            **os.environ,
            **environment(),
            **google.double.variables(),
            "PULUMI_BACKEND_URL": f"file://{folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "DR_STATE_DIR": str(folder / "dr-state"),
        }
        variables.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
        there = Owner(folder, "durable", PROJECT, variables)
        there.there_is_a_stack()
        up = there.up()
        assert up.returncode == 0, up.stdout + up.stderr
        yield there


def test_a_shorter_retention_is_refused_even_without_a_preview(checkout: Owner) -> None:
    checkout.edit(lambda config: config["postgres-dr:backup"].update(retentionDays=7, recoveryWindowDays=7))
    for words in ((), ("--skip-preview",)):
        refused = checkout.up(*words)
        assert refused.returncode != 0
        assert "backup-retention: the age at which objects are deleted" in refused.stdout
        assert "from 30 days to 7 days" in refused.stdout


def test_an_override_with_a_reason_and_an_end_lets_it_pass(checkout: Owner) -> None:
    override = {
        "rule": "backup-retention",
        "resource": "backup-bucket",
        "reason": "the law wants it shorter",
        "until": "2999-01-01T00:00:00Z",
    }
    checkout.edit(lambda config: config.update({"postgres-dr:overrides": [override]}))
    passed = checkout.pulumi("preview", "--policy-pack", "policy")
    assert passed.returncode == 0, passed.stdout
    checkout.edit(
        lambda config: config.update({"postgres-dr:overrides": [{**override, "until": "2001-01-01T00:00:00Z"}]})
    )
    assert checkout.up().returncode != 0
    checkout.edit(lambda config: config["postgres-dr:backup"].update(retentionDays=30, recoveryWindowDays=30))


def test_another_account_in_place_of_the_one_that_writes_is_refused(checkout: Owner) -> None:
    checkout.edit(lambda config: config["postgres-dr:backup"].update(account="another-account"))
    refused = checkout.up()
    assert refused.returncode != 0
    assert "backup-access: the account that writes the backups" in refused.stdout


def test_a_bucket_of_another_name_in_its_place_is_refused(checkout: Owner) -> None:
    checkout.edit(lambda config: config["postgres-dr:backup"].update(bucket="another-bucket-of-backups"))
    refused = checkout.up()
    assert refused.returncode != 0
    assert "backup-bucket: the bucket" in refused.stdout
