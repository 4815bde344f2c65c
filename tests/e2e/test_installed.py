"""The wheel with the real engine, in a folder that has nothing but the configuration of an environment."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.e2e.cli_runner import CliRunner
from tests.support.installed import Installed, build_wheel, install

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(
        build_wheel(tmp_path_factory.mktemp("wheel")), tmp_path_factory.mktemp("installed") / "venv", with_pip=True
    )


def test_dr_and_pulumi_see_the_same_without_a_checkout(dev: CliRunner, installed: Installed, tmp_path: Path) -> None:
    # GIVEN the installed tool, and a folder with one file, made a project
    shutil.copy(dev.config_dir / "Pulumi.dev.yaml", tmp_path)
    backend = yaml.safe_load((tmp_path / "Pulumi.dev.yaml").read_text())["config"]["postgres-dr:stateBackend"]
    variables = {name: value for name, value in dev.variables.items() if name != "DR_CONFIG_DIR"} | {
        # The lab's language host takes the first Python on PATH for the project's.
        "PATH": f"{installed.folder / 'bin'}:{dev.variables['PATH']}",
        "PULUMI_BACKEND_URL": backend,
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    made = installed.run("dr", "project", cwd=tmp_path, variables=variables)
    assert made.returncode == 0, made.stderr

    def pulumi(*words: str) -> "subprocess.CompletedProcess[str]":
        stack = ("--stack", "organization/postgres-dr/dev", "--non-interactive", "--color=never")
        command = ["pulumi", *words, *stack]
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    # WHEN both look at the recovery stack
    if pulumi("stack").returncode != 0:
        assert pulumi("stack", "init").returncode == 0
    by_hand = pulumi("preview")
    by_dr = installed.run("dr", "preview", "--env", "dev", "--json", cwd=tmp_path, variables=variables)
    # THEN each does, by the program in the package
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    assert by_dr.returncode in {0, 2}, by_dr.stdout + by_dr.stderr
    assert json.loads(by_dr.stdout)["dangers"] == []
