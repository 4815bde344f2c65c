"""``pulumi preview`` and ``pulumi up`` by hand beside ``python -m dr``, on one stack: neither undoes the other."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.cli_runner import fresh_dev
from tests.e2e.pulumi_cli import Hand
from tests.support.waiting import wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def hand(lab_variables: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    """Dev with a row that only the time before the target has."""
    dev = fresh_dev(lab_variables)
    yield Hand(dev, tmp_path_factory.mktemp("checkout"))
    dev.end_started()


@pytest.fixture(scope="module")
def target(hand: Hand) -> str:
    """A moment that is archived, as nobody seals the WAL for a person."""
    moment = hand.runner.database_time()
    time.sleep(1)
    source = hand.runner.source
    hand.runner.psql(source, "INSERT INTO jobs (worker) VALUES ('by hand')")
    (switched,) = hand.runner.psql_lines(source, "SELECT pg_walfile_name(pg_switch_wal())")
    archived = f"SELECT last_archived_wal >= '{switched}' FROM pg_stat_archiver"
    wait_for(lambda: hand.runner.psql(source, archived) == "t")
    return moment


def test_by_hand_and_by_dr_in_turn_show_no_difference_that_nobody_made(hand: Hand, target: str) -> None:
    dev = hand.runner
    # WHEN a person asks for a recovery in the file: the preview shows it and changes nothing, the up makes it
    hand.ask_for(targetTime=target)
    before = dev.footprint()
    preview = hand.preview()
    assert (preview.code, dev.footprint()) == (2, before), preview
    assert [change["op"] for change in preview.document["changes"] if change["name"] == dev.recovered] == ["create"]
    hand.there_is_a_stack()
    hand.up()
    assert hand.output("phase") == "recovered"
    assert hand.output("next") == "python -m dr switchover --env dev"
    hand.sees_no_difference()
    # AND dr goes on with it: it verifies, and shows no difference afterwards
    early = hand.pulumi("preview")
    assert early.returncode == 0
    hand.ask_for(targetTime=target, cutover=True)
    refused = hand.pulumi("up", "--yes")
    assert refused.returncode != 0
    assert "recovered-not-verified" in refused.stdout + refused.stderr
    verified = dev.pitr(target, "--yes", "--continue")
    assert verified.code == 0, verified
    # AND the person moves the traffic
    hand.up()
    assert f"{dev.recovered}-rw" in dev.external_names()
    assert hand.output("phase") == "switched over"
    hand.sees_no_difference()
    # AND dr does what is left of a switchover, and then goes back, which the file that nobody touched does not undo
    done = dev.dr("switchover", "--env", "dev", "--yes")
    assert done.code == 0, done
    hand.sees_no_difference()
    back = dev.move("rollback", "--env", "dev", "--yes")
    assert back.code == 0, back
    hand.sees_no_difference()
    hand.up()
    assert "postgres-dev-rw" in dev.external_names()
    status = dev.dr("status", "--env", "dev")
    assert status.code == 0
