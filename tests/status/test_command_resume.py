"""``dr resume``: it is the recorded command that runs, with this call's options."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from dr.core.history import OperationEntry, Outcome
from dr.finalize.preconditions import FinalizeRequest
from dr.main import cli, run
from dr.rebuild.plan import RebuildRequest
from dr.status.resumption import RESUMED, words_of
from dr.switchover.plan import MoveRequest
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_record,
    a_recovered,
    an_entry,
    an_environment,
    config_map_of,
    lease_object,
    object_of,
)
from tests.support.doubles import Wire, kube_status, nothing_changed
from tests.support.extractions import an_extract_request

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
    assert f"Continuing: python -m dr switchover --env prod --config-dir {moving}\n" in said.out
    assert "Plan: switchover on prod" in said.out
    assert RECOVERED_HOST in said.out
    assert "add --yes" in said.err
    assert nothing_changed(wire)


def test_the_recorded_options_are_kept_and_json_is_passed_on(
    moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(f"{CLUSTERS}/again", object_of(a_recovered("again")))
    wire.on("/api/v1/namespaces/data/secrets/again-app", kube_status(404, "not found", name="again-app"), status=404)
    _stopped(wire, an_entry("pitr", go_on=PITR))
    # That of the fixture's recovered Cluster is another target than the one of the command.
    assert _resume(moving, "--json") == 4
    assert _codes(capsys) == ["recovered-exists"]
    wire.on(f"{CLUSTERS}/again", kube_status(404, "not found", name="x"), status=404)
    assert _resume(moving, "--json") == 2
    assert _codes(capsys) == ["confirmation-impossible"]
    assert _resume(moving) == 2
    told = capsys.readouterr().out
    assert "Plan: pitr on prod" in told
    assert "2024-05-01 10:00:00 UTC" in told
    assert "data/again" in told


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
    here = PITR.replace("--env prod", f"--env prod --config-dir {moving}")
    assert f"Continuing: {here}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "go_on",
    [
        "python -m dr finalize --env prod --yes --confirm postgres-prod --override cluster-last=postgres-prod",
        f"{PITR} --yes",
        f"{PITR} --yes=true",
        f"{PITR} --confirm again",
        f"{PITR} --override cluster-last=postgres-prod",
        f"{PITR} --take-over",
        f"{PITR} --context theirs",
        f"{PITR} --dry-run",
        f"{PITR} --env other",
        PITR.replace("--env prod", "--env other"),
        PITR.replace("--env prod", ""),
        PITR.replace(" pitr ", " latest "),
        f"{PITR} stray",
        f"{PITR} --backup-id",
        "python -m dr resume --env prod",
        "python -m other pitr --env prod",
        "sh -c true",
        "python -m dr pitr 'unclosed",
        "",
    ],
)
def test_what_this_tool_would_not_have_written_is_not_done(
    moving: Path, wire: Wire, capsys: pytest.CaptureFixture[str], go_on: str
) -> None:
    """E18."""
    _stopped(wire, an_entry("pitr", go_on=go_on))
    assert _resume(moving, "--yes", "--confirm", "again", "--json") == 4
    assert _codes(capsys) == ["resume-unexpected"]
    assert nothing_changed(wire)


def test_the_folder_of_who_gave_the_command_is_not_taken() -> None:
    """E18, O5. A command is written down as it was printed; the configuration is that of the run that continues."""
    entry = an_entry("rollback", go_on="python -m dr rollback --env prod --config-dir /tmp/theirs --hibernate-old")
    assert words_of(entry, an_environment().commands) == ["rollback", "--env=prod", "--hibernate-old"]


def test_an_option_cannot_hide_in_another_ones_value() -> None:
    """E18."""
    entry = an_entry("finalize", go_on="python -m dr finalize --env prod --branch --yes")
    assert words_of(entry, an_environment().commands) == ["finalize", "--env=prod", "--branch=--yes"]


def test_every_option_that_is_resumed_is_one_of_its_command() -> None:
    """E18."""
    for operation, options in RESUMED.items():
        command = cli.get_command(click.Context(cli), operation)
        assert command is not None
        flags = {one for param in command.params if getattr(param, "is_flag", False) for one in param.opts}
        valued = {one for param in command.params for one in param.opts} - flags
        assert options.flags <= flags - {"--yes", "--take-over", "--dry-run", "--json"}
        assert options.valued <= valued - {"--confirm", "--override", "--config-dir", "--context"}


@pytest.mark.parametrize(
    ("operation", "go_on"),
    [
        ("extract", an_extract_request(swap=True, keep_scratch=True, seal=False).command(an_environment())),
        ("switchover", MoveRequest(back=False, to="it's", hibernate=True).command(an_environment()).replace("'", "")),
        ("rollback", MoveRequest(back=True, to="", hibernate=True).command(an_environment())),
        ("full-rebuild", RebuildRequest(region="r", zone="z", durable="d").command(an_environment())),
        ("finalize", FinalizeRequest(checkout="/a b", branch="c", push=True).command(an_environment())),
    ],
)
def test_what_an_operation_writes_down_is_understood(operation: str, go_on: str) -> None:
    assert words_of(an_entry(operation, go_on=go_on), an_environment().commands)[0] == operation
