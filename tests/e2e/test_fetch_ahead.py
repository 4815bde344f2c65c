"""A recovery with many WAL segments behind its base backup: they are fetched ahead, and nothing of that stays."""

import json
from typing import Any

import pytest

from dr.cnpg.fetch_ahead import WORTH_SEGMENTS
from tests.e2e.cli_runner import CliRunner, Outcome, fresh_dev
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long

SEGMENTS = WORTH_SEGMENTS + 8
BACKLOG = 300
FILL = "INSERT INTO jobs (worker) SELECT 'filler' FROM generate_series(1, 500)"


@pytest.fixture(scope="module")
def dev(lab_variables: dict[str, str]) -> CliRunner:
    """Dev with so much archived WAL that fetching ahead pays."""
    runner = fresh_dev(lab_variables)
    for _ in range(SEGMENTS):
        runner.psql_lines(runner.source, FILL, "SELECT pg_switch_wal()")
    newest = runner.psql(runner.source, "SELECT pg_walfile_name(pg_switch_wal())")
    archived = "SELECT last_archived_wal FROM pg_stat_archiver"
    wait_for(lambda: runner.psql(runner.source, archived) >= newest)
    return runner


@pytest.fixture(scope="module")
def jobs(dev: CliRunner) -> int:
    """How many jobs there are once nobody writes any more."""
    dev.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    wait_for(lambda: not dev.kubectl("get", "pods", "-n", "dev", "-o", "name"))
    return int(dev.psql(dev.source, "SELECT count(*) FROM jobs"))


@pytest.fixture(scope="module")
def recovered(dev: CliRunner, jobs: int) -> Outcome:
    assert jobs >= SEGMENTS * 500
    return dev.dr("latest", "--env", "dev", "--yes")


def test_everything_is_there(dev: CliRunner, jobs: int, recovered: Outcome) -> None:
    assert recovered.code == 0, recovered
    assert int(dev.psql(dev.recovered, "SELECT count(*) FROM jobs")) == jobs
    assert int(dev.psql(dev.recovered, "SELECT count(*) FROM users")) == 100_000


def test_the_plan_says_so(dev: CliRunner, recovered: Outcome) -> None:
    planned = dev.dr("latest", "--env", "dev", "--recovered-name", "postgres-dev-other", "--dry-run").document
    (step,) = [step for step in planned["plan"]["steps"] if step["key"] == "recover"]
    assert step["detail"].endswith("fetched ahead")
    facts = {step["key"]: step["fact"] for step in recovered.document["steps"]}
    assert int(facts["recover"].split()[-4]) >= SEGMENTS, facts["recover"]


def test_the_instance_never_had_it(dev: CliRunner, recovered: Outcome) -> None:
    assert recovered.code == 0
    pod: dict[str, Any] = json.loads(dev.kubectl("get", "pod", f"{dev.recovered}-1", "-n", "data", "-o", "json"))
    (container, *_) = pod["spec"]["containers"]
    assert not {"PYTHONPATH", "POSTGRES_DR_FETCHED_AHEAD"} & {variable["name"] for variable in container["env"]}
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_nothing_of_it_is_left(dev: CliRunner, recovered: Outcome) -> None:
    assert recovered.code == 0
    cluster = dev.cluster(dev.recovered)
    assert cluster is not None
    assert "PYTHONPATH" not in json.dumps(cluster["spec"])
    assert "projectedVolumeTemplate" not in cluster["spec"]
    assert f"{dev.recovered}-fetch-ahead" not in dev.kubectl("get", "configmap", "-n", "data", "-o", "name")
    dev.preview_by_hand()


def test_wal_that_waits_behind_a_load_is_waited_for_as_long_as_it_gets_on(dev: CliRunner, jobs: int) -> None:
    # GIVEN more WAL than is archived in the two minutes without progress after which sealing gives up
    switched = ["SELECT pg_current_xact_id()", "SELECT pg_switch_wal()"] * BACKLOG
    dev.psql_lines(dev.source, *switched)
    waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
    assert int(dev.psql(dev.source, waiting)) > BACKLOG / 2
    # WHEN
    started = dev.start("latest", "--env", "dev", "--recovered-name", "postgres-dev-behind", "--yes")
    outcome = dev.finish(started, seconds=900)
    # THEN
    assert outcome.code == 0, outcome.document
    (sealed,) = [step["seconds"] for step in outcome.document["steps"] if step["key"] == "seal-wal"]
    print(f"\nsealing behind {BACKLOG} segments took {sealed:.0f} s")
    assert int(dev.psql("postgres-dev-behind", "SELECT count(*) FROM jobs")) == jobs
