"""The lab for the end-to-end tests: fresh data at the start, and a seat for each environment."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.environment import environment
from tests.e2e.cli_runner import PROJECT, CliRunner, put_back


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder needs the lab."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def lab_variables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The lab's environment, with fresh data. A lab that is not there is a failure, not a reason to skip."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", "reset"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"the lab is not up (make lab): {done.stdout}{done.stderr}"
    return {**environment(), "DR_STATE_DIR": str(tmp_path_factory.mktemp("dr-state"))}


def _runner(env: str, variables: dict[str, str]) -> Iterator[CliRunner]:
    runner = CliRunner(env, variables, Path(variables["DR_CONFIG_DIR"]))
    yield runner
    runner.end_started()


@pytest.fixture
def dev(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    yield from _runner("dev", lab_variables)


@pytest.fixture
def prod(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    yield from _runner("prod", lab_variables)


@pytest.fixture
def clean_dev(dev: CliRunner) -> Iterator[CliRunner]:
    """Dev as it was, whatever the test before or this one did to it."""
    with put_back(dev):
        yield dev
