"""A database whose node is cut off from the API server goes on serving who is connected: nobody may call it silent."""

import pytest

from lab import faults, paths
from tests.e2e.cli_runner import CliRunner
from tests.e2e.journal_watch import Watched
from tests.e2e.one_session import TABLE, one_session
from tests.support.ledger import announced_in
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

FAILED_STEP = 10


def test_a_database_that_cannot_be_asked_is_not_called_silent(clean_dev: CliRunner) -> None:
    """E5. Packets to kubelet, and from the database to the API server, are dropped; a session goes on inserting."""
    # GIVEN a recovered dev, and a client of the old database that comes by the pod's own address
    runner = clean_dev
    runner.psql(runner.source, TABLE)
    recovered = runner.pitr(runner.database_time(), "--yes")
    assert recovered.code == 0, recovered
    pod = f"{runner.source}-1"
    address = runner.kubectl("get", "pod", pod, "-n", "data", "-o", "jsonpath={.status.podIP}")
    before = runner.external_names()
    with one_session(runner, address) as client:
        # WHEN its pod sees nothing of the fence, and its kubelet is cut off once that has begun
        with faults.pods_cut_off(address):
            run = Watched(runner, "switchover", "--env", "dev", "--yes")
            assert run.begun("fence"), run.finish()
            with faults.node_cut_off(paths.state()):
                outcome = run.finish()
                # THEN the command says what it does not know, the traffic is where it was, and the client goes on
                assert (outcome.code, outcome.problem_codes) == (FAILED_STEP, ["fence-not-seen"]), outcome
                assert pod in outcome.document["problems"][0]["cause"]
                assert runner.external_names() == before
                client.await_more()
        # AND once the node is back the fence comes to it, and it is seen
        runner.kubectl("wait", "node/lab", "--for=condition=Ready", "--timeout=120s")
        assert client.over.wait(HANG_SECONDS)
    # AND what was acknowledged stays behind as announced, and is there after the way back
    plan = runner.dr("switchover", "--env", "dev", "--dry-run").document["plan"]
    announced = announced_in([plan], "Left behind")
    assert announced
    assert announced >= len(client.acknowledged)
    again = runner.dr("switchover", "--env", "dev", "--yes")
    assert again.code == 0, again
    back = runner.dr("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    assert client.missing(runner, runner.source) == []
