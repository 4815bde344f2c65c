"""Completion by the shell: the scripts, and what is asked of the program through them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dr.main import run

ROOT = Path(__file__).resolve().parents[2]


def _completed(words: str, *, folder: Path) -> list[str]:
    """What bash would be offered for the last word of ``words``."""
    asked = {"_DR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    kept = {name: value for name, value in os.environ.items() if name != "DR_CONFIG_DIR"}
    ended = subprocess.run(
        [sys.executable, "-m", "dr"],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not ended.stderr
    return [line.partition(",")[2] for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["dr", "postgres-dr"])
def test_the_script_is_the_shells_own(shell: str, program: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell, "--program", program]) == 0
    script = capsys.readouterr().out
    assert f"_DR_COMPLETE={shell}_complete" in script
    assert program in script
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, check=True)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("dr swi", ["switchover"]),
        ("dr window --co", ["--config-dir", "--context"]),
        ("dr window --env ", ["dev", "prod"]),
        ("dr health --env p", ["prod"]),
        ("dr completion z", ["zsh"]),
    ],
)
def test_commands_options_and_environments_are_offered(words: str, offered: list[str], tmp_path: Path) -> None:
    for name in ("dev", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {}")
    (tmp_path / "Pulumi.durable.yaml").write_text("config: {postgres-dr:holds: durable}")
    assert _completed(words, folder=tmp_path) == offered
