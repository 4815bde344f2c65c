"""A drill of a database that archives by the Barman Cloud plugin: recovered by it, and archiving nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_runner import CliRunner, lab
from tests.e2e.test_drill import findings, left_behind, report_of, server_names

pytestmark = pytest.mark.long


@pytest.fixture
def by_plugin(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    """Dev, archiving by the plugin; as before afterwards."""
    lab("reset", "--plugin")
    runner = CliRunner("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    yield runner
    runner.end_started()
    lab("reset")


def test_a_drill_by_the_plugin_passes_and_leaves_nothing_behind(by_plugin: CliRunner) -> None:
    archives = server_names(by_plugin)
    outcome = by_plugin.dr("drill", "--env", by_plugin.env)
    assert outcome.code == 0, outcome
    report = report_of(by_plugin)
    assert False not in findings(report).values()
    assert findings(report)["amcheck"] is True
    assert {"baseBackup", "walReplay"} <= set(report["rto"]["phases"])
    assert left_behind(by_plugin) == ""
    assert server_names(by_plugin) == archives
