"""``dr resume``: it is the recorded command that runs, with this call's options."""

import json
from pathlib import Path
from typing import Any

import pytest

from dr.core.history import OperationEntry, Outcome
from dr.main import run
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_record,
    a_recovered,
    an_entry,
    config_map_of,
    lease_object,
    object_of,
)
from tests.support.doubles import Wire, kube_status, nothing_changed

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
RECORD = "/api/v1/namespaces/data/configmaps/postgres-dr-prod"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"
PITR = "python -m dr pitr --env prod --target-time 2024-05-01T10:00:00+00:00 --recovered-name again --continue"


@pytest.fixture
def moving(place: Path, wire: Wire) -> Path:
    """A switchover that was interrupted before it changed anything."""
    wire.on(f"{CLUSTERS}/postgres-prod-recovered", object_of(a_recovered()))
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": SOURCE_HOST}})
    _stopped(wire, an_entry())
    return place


def _stopped(wire: Wire, entry: OperationEntry, outcome: Outcome = Outcome.INTERRUPTED) -> None:
    record = a_record(a_recovered()).with_verified("postgres-prod-recovered", 700)
    wire.on(RECORD, config_map_of(record.with_operation(entry.over(outcome, NOW))))


AGREED = ("--yes", "--confirm", "postgres-prod-recovered")


def _resume(folder: Path, *more: str) -> int:
    return run(["resume", "--config-dir", str(folder), "--env", "prod", *more])


def _codes(capsys: pytest.CaptureFixture[str]) -> list[str]:
    told: Any = json.loads(capsys.readouterr().out)
    return [problem["code"] for problem in told["problems"]]


def test_before_a_first_operation_there_is_nothing_to_resume(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _resume(place, "--json") == 4
    assert _codes(capsys) == ["nothing-to-resume"]
    assert nothing_changed(wire)


def test_an_operation_that_is_done_is_not_resumed(moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    _stopped(wire, an_entry(), Outcome.DONE)
    assert _resume(moving, *AGREED, "--json") == 4
    assert _codes(capsys) == ["nothing-to-resume"]
    assert nothing_changed(wire)


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED])
def test_the_recorded_command_is_told_and_its_plan_shown(
    moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str], outcome: Outcome
) -> None:
    _stopped(wire, an_entry(), outcome)
    assert _resume(moving) == 2, "without a terminal nobody can agree"
    said = capsys.readouterr()
    assert "Going on: python -m dr switchover --env prod" in said.out
    assert "Plan: switchover on prod" in said.out
    assert RECOVERED_HOST in said.out
    assert "add --yes" in said.err
    assert nothing_changed(wire)


def test_the_recorded_options_are_kept_and_json_is_passed_on(
    moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(f"{CLUSTERS}/again", object_of(a_recovered("again")))
    _stopped(wire, an_entry("pitr", go_on=f"{PITR} --dry-run"))
    # That of the fixture's recovered Cluster is another target than the one of the command.
    assert _resume(moving, "--json") == 4
    assert _codes(capsys) == ["recovered-exists"]
    wire.on(f"{CLUSTERS}/again", kube_status(404, "not found", name="x"), status=404)
    assert _resume(moving, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["plan"]["operation"] == "pitr"
    assert "2024-05-01 10:00:00 UTC" in told["plan"]["facts"]["Target"]
    assert "data/again" in told["plan"]["facts"]["Recovered"]


def test_without_yes_json_cannot_ask(moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    assert _resume(moving, "--json") == 2
    assert _codes(capsys) == ["confirmation-impossible"]


def test_yes_is_passed_on(moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN an operator at work, whom only a command that was agreed to meets
    wire.on(LEASE, lease_object("bob@ops-2:8", NOW.replace(year=2999)))
    assert _resume(moving, *AGREED, "--json") == 4
    assert _codes(capsys) == ["another-operator"]
    assert nothing_changed(wire)


def test_taking_over_is_passed_on(moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    # GIVEN a lease of nobody alive, and no right to write it
    wire.on(LEASE, lease_object("bob@ops-2:8", NOW.replace(year=2000), seconds=0))
    wire.on(LEASE, kube_status(403, "leases is forbidden"), status=403, method="PUT")
    assert _resume(moving, *AGREED, "--json") == 4
    assert _codes(capsys) == ["lease-stale"]
    assert _resume(moving, *AGREED, "--take-over", "--json") == 5
    assert _codes(capsys) == ["forbidden"]
    assert len(wire.received("PUT")) == 1


def test_the_context_is_passed_on(moving: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _resume(moving, "--context", "acme-prod", "--json") == 2
    assert _codes(capsys) == ["confirmation-impossible"]


def test_the_folder_may_come_from_the_variable(
    moving: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DR_CONFIG_DIR", str(moving))
    assert run(["resume", "--env", "prod", "--json"]) == 2
    assert _codes(capsys) == ["confirmation-impossible"]


def test_the_command_that_is_told_can_be_pasted(moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    _stopped(wire, an_entry("pitr", go_on=PITR))
    _resume(moving)
    assert f"Going on: {PITR}" in capsys.readouterr().out.splitlines()
