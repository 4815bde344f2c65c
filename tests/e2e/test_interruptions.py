"""Ctrl-C, SIGTERM and failures in the middle: nothing is left running, and the way on and the way back are said."""

import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.operator_seat import Seat, engine_processes, wait_for

INTERRUPTED, RECOVERY, REFUSED = 130, 7, 4
SOON = 10
"""Seconds in which a failure is known and told, from the pod's own line on."""


def start(seat: Seat) -> "subprocess.Popen[str]":
    return seat.start("pitr", "--env", "dev", "--target-time", seat.database_time(), "--yes")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_while_recovering_stops_in_order_and_the_recovery_can_be_gone_on_with(
    clean_dev: Seat, number: signal.Signals
) -> None:
    process = start(clean_dev)
    wait_for(lambda: clean_dev.cluster(clean_dev.recovered))
    process.send_signal(number)
    outcome = clean_dev.finish(process)

    assert outcome.code == INTERRUPTED, outcome
    assert engine_processes() == []
    stopped = outcome.document["stopped"]
    assert stopped["at"] == "recover"
    assert stopped["done"] == ["remember", "stop-writers", "seal-wal", "credentials"]

    went_on = clean_dev.dr(*shlex.split(stopped["goOn"])[3:], "--yes")

    assert went_on.code == 0, went_on
    assert any("--replicas=2" in command for command in went_on.document["byHand"])


def test_ctrl_c_before_the_cluster_is_made_undoes_with_the_printed_commands(clean_dev: Seat) -> None:
    process = start(clean_dev)
    wait_for(lambda: 0 in clean_dev.replicas().values())
    process.send_signal(signal.SIGINT)
    outcome = clean_dev.finish(process)

    assert outcome.code == INTERRUPTED, outcome
    assert engine_processes() == []
    for command in outcome.document["stopped"]["undo"]:
        if " scale " in command:
            clean_dev.run(*shlex.split(command))
    assert clean_dev.replicas() == {"tomoda-api": 2, "tomoda-async": 2}


def test_ctrl_c_while_looking_changes_nothing(clean_dev: Seat) -> None:
    before = clean_dev.footprint()
    process = start(clean_dev)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    outcome = clean_dev.finish(process)
    assert outcome.code == INTERRUPTED, outcome
    assert outcome.document["changed"] is False
    assert clean_dev.footprint() == before


def test_a_target_without_a_later_commit_fails_with_postgresqls_own_cause_and_the_next_try_is_clean(
    clean_dev: Seat,
) -> None:
    clean_dev.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    clean_dev.kubectl("wait", "pod", "-n", "dev", "--for=delete", "--all", "--timeout=60s")
    target = clean_dev.database_time()
    # What lies behind the archive's end is tried only by somebody who insists.
    refused = clean_dev.pitr(target, "--yes", "--skip-seal")
    assert (refused.code, refused.problem_codes) == (REFUSED, ["target-after-archive"]), refused
    insisting = ("--override", f"target-outside={clean_dev.recovered}")
    failed = clean_dev.pitr(target, "--yes", "--skip-seal", *insisting)
    since = clean_dev.seconds_since_fatal(clean_dev.recovered)
    print(f"\nended {since:.1f} s after the FATAL line")
    assert since < SOON

    assert (failed.code, failed.problem_codes) == (RECOVERY, ["recovery-target-not-reached"])
    assert "recovery ended before configured recovery target was reached" in failed.document["problems"][0]["cause"]
    assert engine_processes() == []

    again = clean_dev.pitr(target, "--yes", "--continue")

    assert again.code == 0, again


def test_a_quota_that_comes_up_meanwhile_is_named_when_the_time_is_up(clean_dev: Seat, tmp_path: Path) -> None:
    seat = clean_dev.with_config(tmp_path, timeouts={"recoveryMinutes": 0.4})
    process = start(seat)
    wait_for(lambda: 0 in seat.replicas().values())
    process.send_signal(signal.SIGSTOP)  # so that the quota surely comes before the volume
    with seat.no_more_volumes():
        process.send_signal(signal.SIGCONT)
        outcome = seat.finish(process)
    seat.end_started()
    assert (outcome.code, outcome.problem_codes) == (RECOVERY, ["recovery-timeout"]), outcome
    assert "exceeded quota" in outcome.document["problems"][0]["cause"]
    assert engine_processes() == []
