"""The command line as a whole, in this process: exit codes, prompts, and what is printed."""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.cli.confirmation import confirm
from dr.cli.main import run
from dr.model.errors import DeclinedError, RequestError
from tests.builders import BUCKET, a_decision, an_environment, cluster_object, config_document
from tests.doubles import ObjectStoreDouble, Wire, closed_port, kube_status, serving, write_kubeconfig, write_pulumi

TARGET = ["--target-time", "2024-05-01T10:00:00Z"]
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"

pytestmark = pytest.mark.usefixtures("own_home", "own_signals")


@pytest.fixture
def place(tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A configuration, an API, a bucket and a pulumi with which a recovery could begin. The source does not answer."""
    kubeconfig = write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url})
    _configure(tmp_path, kubeconfig)
    write_pulumi(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    wire.on(f"{CLUSTERS}/postgres-prod", cluster_object())
    wire.on(CLUSTERS, {"items": [cluster_object()]})
    wire.on("/api/v1/namespaces/data/services/prod-postgres", {"metadata": {}, "spec": {"externalName": "old.test"}})
    wire.on("/api/v1/namespaces/data/secrets/shop-owner", {"metadata": {}, "data": {"username": "", "password": ""}})
    wire.on("/apis/storage.k8s.io/v1/storageclasses/fast", {"metadata": {}, "provisioner": "x"})
    for path in (f"{CLUSTERS}/postgres-prod-recovered", "/api/v1/namespaces/data/configmaps/postgres-dr-prod"):
        wire.on(path, kube_status(404, "not found", name="x"), status=404)
    for name in ("api", "worker"):
        spec = {"replicas": 3, "selector": {"matchLabels": {"app": name}}, "template": {}}
        wire.on(f"/apis/apps/v1/namespaces/prod/deployments/{name}", {"metadata": {"name": name}, "spec": spec})
    with serving(ObjectStoreDouble(bucket=BUCKET)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        store.add_backup("20240501T030000", "2024-05-01 03:00:33+00:00")
        yield tmp_path


def _configure(folder: Path, kubeconfig: Path) -> None:
    document = config_document(kubernetes={"context": "acme-prod", "kubeconfig": str(kubeconfig)})
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document))


def _pitr(folder: Path, *more: str, env: str = "prod") -> int:
    return run(["pitr", "--config-dir", str(folder), "--env", env, *TARGET, *more])


def _json(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def _nothing_changed(wire: Wire) -> bool:
    return all(asked.method == "GET" or asked.query.get("dryRun") == "All" for asked in wire.asked)


def test_a_dry_run_shows_the_plan_and_changes_nothing(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _pitr(place, "--dry-run", "--json") == 0
    told = _json(capsys)
    assert told["dryRun"] is True
    assert [step["key"] for step in told["plan"]["steps"]][:2] == ["remember", "stop-writers"]
    assert "20240501T030000" in told["plan"]["facts"]["Base backup"]
    assert _nothing_changed(wire)


def test_a_dry_run_in_prose_says_that_nothing_was_changed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _pitr(place, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "Plan: pitr on prod" in out
    assert "Nothing was changed" in out.replace("nothing", "Nothing")


@pytest.mark.parametrize("as_json", [True, False])
def test_without_a_terminal_nothing_is_agreed_to(place: Path, wire: Wire, as_json: bool) -> None:
    assert _pitr(place, *(["--json"] if as_json else [])) == 2
    assert _nothing_changed(wire)


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
    assert _nothing_changed(wire)


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


def test_an_unknown_command_is_a_request_that_makes_no_sense() -> None:
    assert run(["pitrr"]) == 2


@pytest.mark.parametrize("option", ["--help", "-h", "--version"])
def test_asking_about_the_tool_succeeds(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([option]) == 0
    assert capsys.readouterr().out


def test_a_missing_kubeconfig_is_no_access(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _configure(place, place / "nowhere")
    assert _pitr(place, "--yes", "--json") == 5
    assert _json(capsys)["problems"][0]["code"] == "kubeconfig-missing"


def test_an_unreachable_bucket_is_no_access(
    place: Path, wire: Wire, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    assert _pitr(place, "--yes", "--json") == 5
    assert _json(capsys)["problems"][0]["code"] == "bucket-unreachable"
    assert _nothing_changed(wire)


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
    assert _nothing_changed(wire)


class _Terminal(io.StringIO):
    """A terminal at which someone has typed."""

    def isatty(self) -> bool:
        return True


def _ask(monkeypatch: pytest.MonkeyPatch, typed: str, confirmation: str) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))
    decision = a_decision()
    confirm(an_environment(confirmation=confirmation), decision.plan, decision.cluster.name, as_json=False)


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


def test_nobody_is_asked_where_json_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", _Terminal("y\n"))
    decision = a_decision()
    with pytest.raises(RequestError, match="no terminal"):
        confirm(an_environment(), decision.plan, decision.cluster.name, as_json=True)
