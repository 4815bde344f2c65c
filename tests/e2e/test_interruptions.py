"""Ctrl-C, SIGTERM and failures in the middle: nothing is left running, and the way on and the way back are said."""

import shlex
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.e2e.cli_runner import CliRunner, engine_processes
from tests.support.doubles import Asked, Wire, serving
from tests.support.waiting import HANG_SECONDS, wait_for

INTERRUPTED, RECOVERY, REFUSED = 130, 7, 4


@dataclass(kw_only=True)
class _Slow(Wire):
    """Answers when it may."""

    may_answer: Event = field(default_factory=Event)

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        self.may_answer.wait(HANG_SECONDS)
        return httpx.codes.SERVICE_UNAVAILABLE, b""


def start(runner: CliRunner, variables: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    target = runner.database_time()
    return runner.start("pitr", "--env", "dev", "--target-time", target, "--yes", variables=variables)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_while_recovering_stops_in_order_and_the_recovery_can_be_gone_on_with(
    clean_dev: CliRunner, number: signal.Signals
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


def test_ctrl_c_before_the_cluster_is_made_undoes_with_the_printed_commands(clean_dev: CliRunner) -> None:
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


def test_ctrl_c_while_looking_changes_nothing(clean_dev: CliRunner) -> None:
    before = clean_dev.footprint()
    # GIVEN a bucket that does not answer before Ctrl-C
    with serving(_Slow()) as bucket:
        process = start(clean_dev, {"STORAGE_EMULATOR_HOST": bucket.url})
        wait_for(lambda: bucket.asked)
        # WHEN
        process.send_signal(signal.SIGINT)
        bucket.may_answer.set()
        outcome = clean_dev.finish(process)
    # THEN
    assert outcome.code == INTERRUPTED, outcome
    assert outcome.document["changed"] is False
    assert clean_dev.footprint() == before


def test_a_target_without_a_later_commit_fails_with_postgresqls_own_cause_and_the_next_try_is_clean(
    clean_dev: CliRunner,
) -> None:
    clean_dev.kubectl("scale", "deployment", "tomoda-api", "tomoda-async", "-n", "dev", "--replicas=0")
    clean_dev.kubectl("wait", "pod", "-n", "dev", "--for=delete", "--all", "--timeout=300s")
    target = clean_dev.database_time()
    # What lies behind the archive's end is tried only by somebody who insists.
    refused = clean_dev.pitr(target, "--yes", "--skip-seal")
    assert (refused.code, refused.problem_codes) == (REFUSED, ["target-after-archive"]), refused
    insisting = ("--override", f"target-outside={clean_dev.recovered}")
    failed = clean_dev.pitr(target, "--yes", "--skip-seal", *insisting)
    # It is known from the pod's log, while CloudNativePG still tries.
    assert clean_dev.still_tries(clean_dev.recovered)

    assert (failed.code, failed.problem_codes) == (RECOVERY, ["recovery-target-not-reached"])
    assert "recovery ended before configured recovery target was reached" in failed.document["problems"][0]["cause"]
    assert engine_processes() == []

    again = clean_dev.pitr(target, "--yes", "--continue")

    assert again.code == 0, again


def test_a_quota_that_comes_up_meanwhile_is_named_when_the_time_is_up(clean_dev: CliRunner, tmp_path: Path) -> None:
    runner = clean_dev.with_config(tmp_path, timeouts={"recoveryMinutes": 1})
    process = start(runner)
    wait_for(lambda: 0 in runner.replicas().values())
    process.send_signal(signal.SIGSTOP)  # so that the quota surely comes before the volume
    with runner.no_more_volumes():
        process.send_signal(signal.SIGCONT)
        outcome = runner.finish(process)
    runner.end_started()
    assert (outcome.code, outcome.problem_codes) == (RECOVERY, ["recovery-timeout"]), outcome
    assert "exceeded quota" in outcome.document["problems"][0]["cause"]
    assert engine_processes() == []
