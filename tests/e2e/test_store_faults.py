"""The object store fails in the middle of a replay to the end of the WAL: it is waited for, not taken for the end.

Nothing but the rows tells whether a recovery without a target is whole: PostgreSQL ends one at the first segment that
it cannot have, and says nothing.
"""

from collections.abc import Iterator

import pytest

from lab.store_faults import StoreFault
from tests.e2e import lab_bucket
from tests.e2e.cli_runner import CliRunner, Outcome, fresh_dev
from tests.support.waiting import stopwatch, wait_for

SEGMENTS = 12
ROW = "INSERT INTO jobs (worker) SELECT 'one segment' FROM generate_series(1, 10)"
RECOVERED = "postgres-dev-waited"


@pytest.fixture(scope="module")
def dev(lab_variables: dict[str, str]) -> CliRunner:
    """Dev with rows in each of many archived segments, and nobody who writes more."""
    runner = fresh_dev(lab_variables)
    runner.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    wait_for(lambda: not runner.kubectl("get", "pods", "-n", "dev", "-o", "name"))
    return runner


@pytest.fixture(scope="module")
def segments(dev: CliRunner) -> list[str]:
    """The archived segments with those rows, in order."""
    asked = [script for _ in range(SEGMENTS) for script in (ROW, "SELECT pg_walfile_name(pg_switch_wal())")]
    written = dev.psql_lines(dev.source, *asked)
    dev.await_archived(written[-1])
    return written


@pytest.fixture
def recovered(dev: CliRunner) -> Iterator[str]:
    """The name of a Cluster that is gone after the test."""
    yield RECOVERED
    dev.kubectl("delete", "cluster", RECOVERED, "-n", "data", "--ignore-not-found")
    wait_for(lambda: not dev.kubectl("get", "pvc", "-n", "data", "-l", f"cnpg.io/cluster={RECOVERED}", "-o", "name"))
    dev.kubectl("delete", "secret", f"{RECOVERED}-app", "-n", "data", "--ignore-not-found")


def _latest(runner: CliRunner, name: str, fault: StoreFault) -> tuple[Outcome, list[str]]:
    """How ``latest`` ends with this fault, and which requests had it."""
    with lab_bucket.failing(fault) as met:
        told = stopwatch()
        started = runner.start("latest", "--env", "dev", "--recovered-name", name, "--yes")
        outcome = runner.finish(started, seconds=900)
    print(f"\n{fault}: {len(met)} requests had it; {told()} in all")
    return outcome, met


def _assert_all_is_there(runner: CliRunner, outcome: Outcome) -> None:
    assert outcome.code == 0, outcome
    everything = "SELECT count(*), max(id) FROM jobs"
    assert runner.psql(RECOVERED, everything) == runner.psql(runner.source, everything)
    assert f"{RECOVERED}-fetch-ahead" not in runner.kubectl("get", "configmap", "-n", "data", "-o", "name")
    assert "PYTHONPATH" not in str(runner.cluster(RECOVERED))


@pytest.mark.parametrize(
    "seconds", [pytest.param(5, marks=pytest.mark.long), 20, pytest.param(150, marks=pytest.mark.long)]
)
def test_a_store_that_answers_503_in_the_middle_of_a_replay(
    dev: CliRunner, segments: list[str], recovered: str, seconds: int
) -> None:
    """E1: PostgreSQL takes barman's failure for the end of the archive, and promotes."""
    outcome, met = _latest(dev, recovered, StoreFault(seconds=seconds, after=segments[SEGMENTS // 2]))
    assert met
    _assert_all_is_there(dev, outcome)


@pytest.mark.long
def test_a_body_that_is_cut_twice(dev: CliRunner, segments: list[str], recovered: str) -> None:
    """E1. The first one is met where the plan looks into the segments: it says nothing about the object."""
    outcome, met = _latest(dev, recovered, StoreFault(answer="cut", on=segments[SEGMENTS // 2], times=3))
    assert len(met) == 3
    _assert_all_is_there(dev, outcome)


def test_records_that_cannot_be_read_are_not_taken_for_the_end(
    dev: CliRunner, segments: list[str], recovered: str
) -> None:
    """E1: PostgreSQL ends its recovery there, promotes, and reports no error."""
    damaged = segments[SEGMENTS // 2]
    (wal,) = lab_bucket.folder("dev", dev.source, "wals", damaged[:16]).glob(f"{damaged}*")
    whole = wal.read_bytes()
    page, header = 8192, 40
    with lab_bucket.replaced(wal, whole[:header] + b"\xff" * (page - header) + whole[page:]):
        outcome = dev.dr("latest", "--env", "dev", "--recovered-name", recovered, "--yes")
    assert outcome.code == 8, outcome
    (error,) = outcome.document["problems"]
    assert error["code"] == "recovery-ended-early"
    assert damaged in error["cause"]
    assert "sealed" in error["cause"]
    assert dev.replicas() == {"tomoda-api": 0, "tomoda-async": 0}
