"""The main job: a dropped table comes back, and everything around it is as promised."""

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome, await_health

AGREED = ("--yes", "--confirm", "postgres-prod-recovered")


@dataclass(frozen=True)
class Recovered:
    """The recovery that the tests of this module look at, and how things were before it."""

    outcome: Outcome
    target: str
    replicas: dict[str, int]
    external_names: str
    source_spec: dict[str, Any]


@pytest.fixture(scope="module")
def recovered(lab_variables: dict[str, str]) -> Recovered:
    """One recovery of prod to just before a dropped table, with rows written before and after the target."""
    prod = CliRunner("prod", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    prod.psql("postgres-prod", "UPDATE users SET name = 'kept' WHERE id = 1")
    replicas, external_names = prod.replicas(), prod.external_names()
    source_spec = (prod.cluster("postgres-prod") or {})["spec"]
    target = prod.database_time()
    time.sleep(0.1)
    prod.psql("postgres-prod", "UPDATE users SET name = 'lost' WHERE id = 1")
    prod.psql("postgres-prod", "DROP TABLE users CASCADE")
    outcome = prod.pitr(target, *AGREED)
    prod.end_started()
    return Recovered(outcome, target, replicas, external_names, source_spec)


def test_the_table_is_back_as_it_was_at_the_target(prod: CliRunner, recovered: Recovered) -> None:
    assert recovered.outcome.code == 0, recovered.outcome
    assert prod.psql("postgres-prod-recovered", "SELECT count(*) >= 100000 FROM users") == "t"
    assert prod.psql("postgres-prod-recovered", "SELECT name FROM users WHERE id = 1") == "kept"


def test_the_report_says_what_was_verified(recovered: Recovered) -> None:
    document = recovered.outcome.document
    passed = {finding["name"]: finding["passed"] for finding in document["verification"]}
    assert passed == {
        "users": True,
        "PostGIS": None,
        "out of recovery": True,
        "stopped at the target": True,
        "last transaction": True,
        "archiving": True,
    }
    assert document["serverName"] == "postgres-prod-recovered"
    assert [step["key"] for step in document["steps"]] == [
        "remember",
        "stop-writers",
        "seal-wal",
        "credentials",
        "recover",
        "verify",
        "settle",
    ]


def test_the_source_and_the_traffic_are_left_alone(prod: CliRunner, recovered: Recovered) -> None:
    source = prod.cluster("postgres-prod")
    assert source is not None
    assert source["spec"] == recovered.source_spec
    assert prod.external_names() == recovered.external_names


def test_the_writers_are_stopped_and_their_counts_remembered(prod: CliRunner, recovered: Recovered) -> None:
    assert prod.replicas() == {"tomoda-api": 0, "tomoda-async": 0}
    text = prod.kubectl("get", "configmap", "postgres-dr-prod", "-n", "data", "-o", r"jsonpath={.data.record\.json}")
    assert json.loads(text)["replicas"] == recovered.replicas


def test_the_recovered_cluster_is_like_its_source_but_archives_for_itself(
    prod: CliRunner, recovered: Recovered
) -> None:
    found = prod.cluster("postgres-prod-recovered")
    assert found is not None
    source_spec = recovered.source_spec
    for key in ("imageName", "storage", "resources", "env", "instances"):
        assert found["spec"][key] == source_spec[key], key
    for name, value in source_spec["postgresql"]["parameters"].items():
        assert found["spec"]["postgresql"]["parameters"][name] == value, name
    assert found["spec"]["backup"]["barmanObjectStore"]["serverName"] == "postgres-prod-recovered"
    recovery = found["spec"]["bootstrap"]["recovery"]
    assert (recovery["database"], recovery["owner"]) == ("tomoda", "tomoda")


def test_pulumi_by_hand_finds_nothing_to_change(prod: CliRunner, recovered: Recovered) -> None:
    assert recovered.outcome.code == 0
    said = prod.preview_by_hand()
    assert "3 unchanged" in said


def test_repeating_the_command_is_refused_with_both_ways_on(prod: CliRunner, recovered: Recovered) -> None:
    outcome = prod.pitr(recovered.target, *AGREED)
    assert (outcome.code, outcome.problem_codes) == (4, ["recovered-exists"])
    remedy = outcome.document["problems"][0]["remedy"]
    assert "--continue" in remedy
    assert "--recovered-name postgres-prod-recovered-2" in remedy


def test_continuing_a_finished_recovery_verifies_it_again(prod: CliRunner, recovered: Recovered) -> None:
    created = (prod.cluster("postgres-prod-recovered") or {})["metadata"]["uid"]
    outcome = prod.pitr(recovered.target, *AGREED, "--continue")
    assert outcome.code == 0, outcome
    assert (prod.cluster("postgres-prod-recovered") or {})["metadata"]["uid"] == created


def test_the_printed_commands_bring_the_traffic_back(prod: CliRunner, recovered: Recovered) -> None:
    url = prod.health_url()
    for command in recovered.outcome.document["byHand"]:
        prod.run(*shlex.split(command))
    answer = await_health(url, 200)
    assert answer.status_code == 200
    assert answer.json()["users"] >= 100_000
    assert prod.replicas() == recovered.replicas
