"""The weekly drill as ``deploy/drill-cronjob.yaml`` has it: in a pod, under its own account."""

from collections.abc import Iterator

import pytest

from tests.e2e.cli_runner import CliRunner, fresh_dev
from tests.e2e.test_drill import in_cluster, left_behind
from tests.e2e.test_health_cronjob import NAMESPACE, deployed_to, ran
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

DRILL_SECONDS = 400


@pytest.fixture(scope="module")
def deployed(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliRunner]:
    """Dev with the drill's account, the configuration and the CronJob."""
    folder = tmp_path_factory.mktemp("cronjob")
    with deployed_to(fresh_dev(lab_variables).with_config(folder), "drill") as runner:
        yield runner


def test_a_drill_in_a_pod_passes_and_keeps_its_report_in_the_cluster(deployed: CliRunner) -> None:
    outcome, said = ran(deployed, "drill-of-a-good-week", of="drill", seconds=DRILL_SECONDS)
    assert outcome == "Complete", said
    assert f"Passed {deployed.source} recovered to the end of its WAL" in said
    report = in_cluster(deployed)[-1]
    assert (report["outcome"], report["user"].partition("@")[0]) == ("done", "drill")
    assert left_behind(deployed) == ""


def test_a_drill_whose_pod_is_told_to_go_tidies_up_first(deployed: CliRunner) -> None:
    deployed.kubectl("create", "job", "drill-cut-short", "--from=cronjob/postgres-dr-drill", *NAMESPACE)
    wait_for(lambda: deployed.cluster(f"{deployed.source}-drill"))
    deployed.kubectl("delete", "job", "drill-cut-short", "--wait=false", *NAMESPACE)
    wait_for(lambda: left_behind(deployed) == "")
