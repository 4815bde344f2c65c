"""Where the configuration of an environment is looked for."""

from pathlib import Path

import click
import pytest

from dr.cli.options import config_folder, known_environments
from dr.main import run

pytestmark = pytest.mark.usefixtures("own_home", "own_signals")


def _known(incomplete: str, config_dir: str | None = None) -> list[str]:
    command = click.Command("any", params=[option := click.Option(["--env"])])
    ctx = click.Context(command)
    ctx.params["config_dir"] = config_dir
    return known_environments(ctx, option, incomplete)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "prod": "config: {}",
        "dev": "config: [",
        "platform": "config: {postgres-dr:holds: platform}",
    }.items():
        (tmp_path / f"Pulumi.{name}.yaml").write_text(text)
    (tmp_path / "Pulumi.yaml").write_text("name: postgres-dr")
    return tmp_path


def test_it_is_the_current_folder_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_folder(None) == tmp_path
    assert config_folder("/elsewhere") == Path("/elsewhere")


@pytest.mark.parametrize("command", ["status", "window", "diagnose", "latest", "preview"])
def test_a_command_without_a_configuration_says_where_it_looked(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DR_CONFIG_DIR", raising=False)
    assert run([command, "--env", "prod"]) in {1, 3}
    said = capsys.readouterr().err
    assert f"{tmp_path} has no Pulumi.prod.yaml" in said
    assert "gcpProject" in said


def test_environments_are_completed_by_their_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _known("", str(folder)) == ["dev", "prod"]
    assert _known("p", str(folder)) == ["prod"]
    monkeypatch.chdir(folder)
    assert _known("") == ["dev", "prod"]
    assert _known("", str(folder / "nowhere")) == []
