"""kill -9 in the middle of a recovery: the next command goes on, and ends where the first one would have."""

import signal

import pytest

from tests.e2e.operator_seat import Seat, engine_processes

pytestmark = pytest.mark.long


@pytest.mark.parametrize("moment", ["stop-writers", "seal-wal", "recover", "verify"])
def test_a_killed_recovery_is_resumed_to_its_end(clean_dev: Seat, moment: str) -> None:
    # GIVEN a recovery that is killed in a step
    rows = clean_dev.psql(clean_dev.source, "SELECT count(*) FROM users")
    process = clean_dev.start("pitr", "--env", "dev", "--target-time", clean_dev.database_time(), "--yes")
    clean_dev.await_step("pitr", moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    status = clean_dev.dr("status", "--env", "dev").document
    assert status["next"][0]["command"] == "python -m dr resume --env dev"
    assert status["atWork"] == ""

    # WHEN
    resumed = clean_dev.dr("resume", "--env", "dev", "--yes")

    # THEN it is as if nothing had happened: one Cluster, the rows, the counts of before, no engine left
    assert resumed.code == 0, resumed
    assert int(clean_dev.psql(clean_dev.recovered, "SELECT count(*) FROM users")) >= int(rows)
    clusters = clean_dev.kubectl("get", "cluster", "-n", "data", "-o", "name").split()
    assert sum("postgres-dev-recovered" in name for name in clusters) == 1
    assert clean_dev.replicas() == {"tomoda-api": 0, "tomoda-async": 0}
    status = clean_dev.dr("status", "--env", "dev").document
    assert status["remembered"] == {"tomoda-api": 2, "tomoda-async": 2}
    assert status["operations"][-1]["outcome"] == "done"
    assert engine_processes() == []
