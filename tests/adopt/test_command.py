"""``dr adopt`` as it is typed, up to where Pulumi would begin; the rest is among the end-to-end tests."""

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from dr.main import run
from tests.support.doubles import write_pulumi

ROOT = Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "tests" / "support" / "terraform.tfstate.json"


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, own_signals: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's own configuration, and a pulumi."""
    for name in ("prod", "dev", "durable", "platform"):
        shutil.copy(ROOT / f"Pulumi.{name}.yaml", tmp_path)
    write_pulumi(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def _adopt(folder: Path, capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> tuple[int, dict[str, Any]]:
    command = ["adopt", "--env", "prod", "--config-dir", str(folder), "--terraform-state", str(state)]
    code = run([*command, *words, "--json"])
    return code, json.loads(capsys.readouterr().out)


def _codes(document: dict[str, Any]) -> set[str]:
    return {problem["code"] for problem in document["problems"]}


def test_a_file_that_is_no_state_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "state").write_text("resource {}")
    code, said = _adopt(folder, capsys, folder / "state")
    assert (code, _codes(said)) == (2, {"terraform-state-unreadable"})


def test_contradictions_are_found_before_anything_is_asked_of_google(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = deepcopy(json.loads(FIXTURE.read_text()))
    for block in state["resources"]:
        if block["type"] == "google_container_cluster":
            block["instances"][0]["attributes"]["location"] = "us-east1"
    (folder / "state").write_text(json.dumps(state))
    code, said = _adopt(folder, capsys, folder / "state")
    assert (code, _codes(said)) == (4, {"terraform-contradiction"})


def test_an_environment_without_infrastructure_has_nothing_to_adopt_into(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "Pulumi.prod.yaml"
    document = yaml.safe_load(file.read_text())
    del document["config"]["postgres-dr:infrastructure"]
    file.write_text(yaml.safe_dump(document))
    code, said = _adopt(folder, capsys, FIXTURE)
    assert (code, _codes(said)) == (3, {"infrastructure-not-configured"})


def test_nothing_is_imported_while_google_does_not_answer(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for api in ("STORAGE", "IAM", "RESOURCE_MANAGER", "COMPUTE", "CONTAINER"):
        monkeypatch.setenv(f"GOOGLE_{api}_CUSTOM_ENDPOINT", "http://127.0.0.1:1/")
    code, said = _adopt(folder, capsys, FIXTURE, "--yes", "--confirm", "development-485000")
    assert (code, _codes(said)) == (5, {"survey-unproven"})
    assert said["changed"] is False
