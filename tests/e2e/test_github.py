"""The workflows for GitHub, as far as they run without it: linted, and their script over the lab's environments."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lab.environment import environment
from lab.paths import Cache, cache
from lab.tools import programs
from lab.tools.toolchain import toolchain
from tests.e2e.cli_runner import PROJECT

GITHUB = PROJECT / "docs" / "github"


@pytest.fixture(scope="module")
def go() -> Cache:
    return cache()


def test_the_workflows_pass_actionlint(go: Cache, tmp_path: Path) -> None:
    program = programs.ACTIONLINT
    program.build(go, toolchain(go), tmp_path / "build.log", threading.Event())
    # The two programs that it would call are not looked for, so that it says the same on every machine.
    linter = str(program.binary(go, toolchain(go)))
    words = [linter, "-shellcheck=", "-pyflakes=", *map(str, sorted(GITHUB.glob("*.yml")))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_script_previews_both_environments_and_checks_what_they_would_declare(
    go: Cache, lab_variables: dict[str, str]
) -> None:
    schemas = programs.CNPG.folder(go, toolchain(go)) / programs.CNPG_MANIFEST
    variables = {**os.environ, **environment(), **lab_variables}
    variables.pop("GITHUB_TOKEN", None)
    words = ("--env", "dev", "--env", "prod", "--schemas", str(schemas), "--config-dir", lab_variables["DR_CONFIG_DIR"])
    done = subprocess.run(
        [sys.executable, GITHUB / "dr_review.py", *words],
        cwd=PROJECT,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "### ✅ dev: " in done.stdout
    assert "### ✅ prod: " in done.stdout
