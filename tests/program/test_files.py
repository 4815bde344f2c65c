"""The files of the Pulumi project: as they are installed, as they are written, and as they are in this repository."""

import sys
from pathlib import Path

import pytest
import yaml

from dr.config.stack_file import PROJECT
from dr.core.errors import AccessError, RequestError
from dr.main import run
from dr.program.files import project_files, write_project

ROOT = Path(__file__).resolve().parents[2]


def test_the_repositorys_own_are_the_same_in_its_own_virtual_environment() -> None:
    for name, text in project_files(".venv").items():
        ours = (ROOT / name).read_text()
        if name == "policy/PulumiPolicy.yaml":
            text = text.replace("virtualenv: .venv", "virtualenv: ../.venv")
        assert (yaml.safe_load(ours) == yaml.safe_load(text)) if name.endswith(".yaml") else ours == text, name


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/ada/.local/share/uv/tools/postgres-dr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")


@pytest.mark.usefixtures("installed")
def test_written_they_name_the_environment_that_has_the_tool(tmp_path: Path) -> None:
    written = write_project(tmp_path, overwrite=False)
    assert set(written) == {"Pulumi.yaml", "__main__.py", "policy/PulumiPolicy.yaml", "policy/__main__.py"}
    for name in ("Pulumi.yaml", "policy/PulumiPolicy.yaml"):
        runtime = yaml.safe_load((tmp_path / name).read_text())["runtime"]
        assert runtime == {"name": "python", "options": {"virtualenv": sys.prefix}}
    assert yaml.safe_load((tmp_path / "Pulumi.yaml").read_text())["name"] == PROJECT
    # AND a second time there is nothing to do
    assert write_project(tmp_path, overwrite=False) == ()


def test_without_a_virtual_environment_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    write_project(tmp_path, overwrite=False)
    assert yaml.safe_load((tmp_path / "Pulumi.yaml").read_text())["runtime"] == {"name": "python"}


def test_what_somebody_wrote_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("mine")
    with pytest.raises(RequestError) as refused:
        write_project(tmp_path, overwrite=False)
    assert refused.value.code == "file-exists"
    assert "__main__.py" in refused.value.cause
    assert [path.name for path in tmp_path.iterdir()] == ["__main__.py"]
    assert "__main__.py" in write_project(tmp_path, overwrite=True)
    assert "declare()" in (tmp_path / "__main__.py").read_text()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "policy").write_text("a file where the folder has to be")
    with pytest.raises(AccessError) as refused:
        write_project(tmp_path, overwrite=False)
    assert refused.value.code == "project-unwritable"
    assert "policy" in refused.value.cause


def test_the_command_writes_them_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DR_CONFIG_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(["project"]) == 0
    assert f"Written: {tmp_path / 'Pulumi.yaml'}" in capsys.readouterr().out
    assert run(["project", "--config-dir", str(tmp_path)]) == 0
    assert "Nothing to do" in capsys.readouterr().out
    (tmp_path / "Pulumi.yaml").write_text("name: other")
    assert run(["project"]) == 2
    assert run(["project", "--overwrite"]) == 0


@pytest.mark.parametrize("has_pip", [True, False])
def test_an_environment_without_pip_is_said_to_lack_it(
    has_pip: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dr.program.command.find_spec", lambda _: object() if has_pip else None)
    assert run(["project", "--config-dir", str(tmp_path)]) == 0
    assert ("--with pip" in capsys.readouterr().out) is not has_pip
