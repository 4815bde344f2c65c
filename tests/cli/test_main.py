"""The command line as a whole, in this process: exit codes, prompts, and what is printed."""

import io
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from dr.cli.operate import Agreement, agree
from dr.cli.signals import stopping
from dr.core.errors import DeclinedError, RequestError
from dr.main import run
from tests.support.doubles import Wire, closed_port, kube_status, nothing_changed, write_environment

TARGET = ["--target-time", "2024-05-01T10:00:00Z"]
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"

pytestmark = pytest.mark.usefixtures("own_home", "own_signals")


def _pitr(folder: Path, *more: str, env: str = "prod") -> int:
    return run(["pitr", "--config-dir", str(folder), "--env", env, *TARGET, *more])


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _pitr(place, "--dry-run", "--json") == 0
    told = _json(capsys)
    assert told["dryRun"] is True
    assert [step["key"] for step in told["plan"]["steps"]][:2] == ["remember", "stop-writers"]
    assert "20240501T030000" in told["plan"]["facts"]["Base backup"]
    assert nothing_changed(wire)


def test_a_dry_run_in_prose_says_that_nothing_was_changed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _pitr(place, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "Plan: pitr on prod" in out
    assert "Nothing was changed" in out.replace("nothing", "Nothing")


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_terminal_nothing_is_agreed_to(place: Path, wire: Wire, as_json: bool) -> None:
    assert _pitr(place, *(["--json"] if as_json else [])) == 2
    assert nothing_changed(wire)


def test_preconditions_that_do_not_hold_are_told_together(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    del wire.answers["GET", f"{CLUSTERS}/postgres-prod-recovered"]
    for path in ("services/prod-postgres", "secrets/shop-owner"):
        wire.on(f"/api/v1/namespaces/data/{path}", kube_status(404, "no", name="x"), status=404)
    wire.on(f"{CLUSTERS}/postgres-prod-recovered", kube_status(404, "no", name="x"), status=404)
    assert _pitr(place, "--yes", "--json") == 4
    told = _json(capsys)
    assert [problem["code"] for problem in told["problems"]] == ["service-missing", "secret-missing"]
    assert (told["error"], told["exitCode"], told["changed"], told["stopped"]) == ("refused", 4, False, None)
    assert nothing_changed(wire)


def test_a_failure_in_prose_has_its_cause_its_remedy_and_the_state_of_things(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    wire.on(f"{CLUSTERS}/postgres-prod", kube_status(401, "Unauthorized"), status=401)
    assert _pitr(place, "--yes") == 5
    err = capsys.readouterr().err
    assert "access: could not read the Cluster data/postgres-prod" in err
    assert "do: log in again" in err
    assert "Nothing was changed." in err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--env", "staging", *TARGET], 3, "env-unknown"),
        (["--env", "prod", "--target-time", "2024-05-01T10:00:00"], 2, "target-time-without-zone"),
        (["--env", "prod", "--target-time", "2999-05-01T10:00:00Z"], 2, "target-time-in-the-future"),
        (["--env", "prod", *TARGET, "--recovered-name", "p" * 51], 2, "name-impossible"),
        (["--env", "prod", *TARGET, "--context", "acme-dev"], 2, "context-not-the-environments"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_before_anything_is_asked(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, told: str
) -> None:
    assert run(["pitr", "--config-dir", str(place), "--json", *arguments]) == code
    assert [problem["code"] for problem in _json(capsys)["problems"]] == [told]
    assert wire.asked == []


def test_without_an_environment_the_option_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pitr", *TARGET]) == 2
    assert "--env" in capsys.readouterr().err


def test_a_missing_option_is_told_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pitr", "--json", *TARGET]) == 2
    told = _json(capsys)
    assert (told["error"], told["exitCode"]) == ("request", 2)


@pytest.mark.parametrize("alias", ["recovery-window", "restore-point", "restore-table"])
def test_a_command_has_a_second_name(alias: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([alias, "--help"]) == 0
    assert run(["--help"]) == 0
    assert f", {alias} " in capsys.readouterr().out


def test_an_unknown_command_is_a_request_that_makes_no_sense() -> None:
    assert run(["pitrr"]) == 2


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_asking_about_the_tool_succeeds(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([option]) == 0
    assert capsys.readouterr().out


def test_a_missing_kubeconfig_is_no_access(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_environment(place, place / "nowhere")
    assert _pitr(place, "--yes", "--json") == 5
    assert _json(capsys)["problems"][0]["code"] == "kubeconfig-missing"


def test_an_unreachable_bucket_is_no_access(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    assert _pitr(place, "--yes", "--json") == 5
    assert _json(capsys)["problems"][0]["code"] == "bucket-unreachable"
    assert nothing_changed(wire)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [("PATH", "/nowhere", "pulumi-missing"), ("PULUMI_CONFIG_PASSPHRASE", None, "passphrase-missing")],
)
def test_an_engine_that_could_not_run_is_told_before_anything_is_changed(
    place: Path,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str | None,
    told: str,
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    assert _pitr(place, "--yes", "--json") == 6
    assert _json(capsys)["problems"][0]["code"] == told
    assert nothing_changed(wire)


class _Terminal(io.StringIO):
    """A terminal at which someone has typed."""

    def isatty(self) -> bool:
        return True


def _wanted(how: str) -> Agreement:
    return Agreement(
        steps=3,
        environment="prod",
        name="postgres-prod-recovered",
        consequence="stops the writers of prod",
        by_name=how == "name",
    )


def _ask(monkeypatch: pytest.MonkeyPatch, typed: str, confirmation: str) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))
    agree(_wanted(confirmation), as_json=False, yes=False, confirmed=None)


@pytest.mark.parametrize(("typed", "how"), [("postgres-prod-recovered\n", "name"), ("y\n", "answer")])
def test_agreeing_goes_on(monkeypatch: pytest.MonkeyPatch, typed: str, how: str) -> None:
    _ask(monkeypatch, typed, how)


@pytest.mark.parametrize(
    ("typed", "how"),
    [("y\n", "name"), ("\n", "name"), ("postgres-prod\n", "name"), ("n\n", "answer"), ("\n", "answer")],
)
def test_anything_else_declines(monkeypatch: pytest.MonkeyPatch, typed: str, how: str) -> None:
    with pytest.raises(DeclinedError) as declined:
        _ask(monkeypatch, typed, how)
    assert declined.value.exit_code == 9


def _agree(how: str, *, yes: bool, confirmed: str | None = None, as_json: bool = False) -> None:
    agree(_wanted(how), as_json=as_json, yes=yes, confirmed=confirmed)


def test_nobody_is_asked_where_json_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal("y\n"))
    with pytest.raises(RequestError, match="no terminal to ask on"):
        _agree("answer", yes=False, as_json=True)


def test_yes_is_enough_only_where_no_name_is_wanted() -> None:
    _agree("answer", yes=True)
    _agree("name", yes=True, confirmed="postgres-prod-recovered")
    with pytest.raises(RequestError) as refused:
        _agree("name", yes=True)
    assert "--yes --confirm postgres-prod-recovered" in refused.value.remedy


@pytest.mark.parametrize("how", ["answer", "name"])
def test_another_name_is_refused_everywhere(how: str) -> None:
    with pytest.raises(RequestError) as refused:
        _agree(how, yes=True, confirmed="postgres-dev-recovered")
    assert refused.value.code == "confirmation-wrong"


def test_the_help_has_the_whole_sentence_of_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Make the recovered Cluster the canonical one, and delete the old one." in said
    assert "..." not in said.partition("When something is broken:")[2]


def test_a_state_folder_that_cannot_be_written_refuses_a_dry_run_too(
    place: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1."""
    (place / "a-file").write_text("")
    monkeypatch.setenv("DR_STATE_DIR", str(place / "a-file" / "state"))
    assert _pitr(place, "--dry-run", "--json") == 5
    assert [problem["code"] for problem in _json(capsys)["problems"]] == ["state-folder-unusable"]
    assert nothing_changed(wire)


@pytest.mark.parametrize(("begun", "told"), [(True, "not known"), (False, "Nothing was changed.")])
@pytest.mark.parametrize("failure", [KeyError("odd"), KeyboardInterrupt()])
def test_nothing_was_changed_is_said_only_where_no_change_was_begun(
    begun: bool, told: str, failure: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1."""

    def command(**_: object) -> None:
        with stopping(Event()) if begun else nullcontext():
            pass
        raise failure

    monkeypatch.setattr("dr.window.command.command.callback", command)
    run(["window", "--env", "prod"])
    err = capsys.readouterr().err
    assert told in err
    assert ("Nothing was changed" in err) is not begun


@pytest.mark.parametrize(("typed", "meant"), [("stauts", "status"), ("pitt", "pitr"), ("roll-back", "rollback")])
def test_a_misspelt_command_is_answered_with_the_one_that_is_meant(
    capsys: pytest.CaptureFixture[str], typed: str, meant: str
) -> None:
    """O11."""
    assert run([typed, "--env", "prod"]) == 2
    assert f"Did you mean {meant}?" in capsys.readouterr().err


def test_what_is_spelt_like_no_command_gets_no_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["xyzzy"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_without_an_input_nothing_is_agreed_to(place: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """O13. With stdin closed (`<&-`) there was a traceback."""
    monkeypatch.setattr(sys, "stdin", None)
    assert _pitr(place) == 2
    assert nothing_changed(wire)


def test_a_switchover_that_is_refused_after_its_recovery_says_that_it_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """O1."""

    class Told:
        def as_json(self) -> dict[str, object]:
            return {
                "cluster": "postgres-prod-recovered",
                "journal": "/state/journal/prod.jsonl",
                "next": ["python -m dr switchover --env prod"],
            }

    def move(**_: object) -> None:
        raise DeclinedError("declined", "not agreed to", "do")

    monkeypatch.setattr("dr.recovery.command.operate", lambda *_, **__: Told())
    monkeypatch.setattr("dr.recovery.command.move", move)
    assert run(["pitr", "--env", "prod", *TARGET, "--switchover"]) == 9
    err = capsys.readouterr().err
    assert "Nothing was changed." not in err
    assert "done     Recover into postgres-prod-recovered" in err
