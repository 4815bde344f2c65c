"""One state folded from what is seen of a recovery: the Cluster, its pods, their logs, and warnings."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest

from dr.cnpg.cluster import PLUGIN_PHASES, UNRECOVERABLE_PHASE, ClusterSnapshot
from dr.cnpg.progress import LogSeen, Observation, PodSeen, RecoveryProgress, Stage, WarningSeen, message_of
from tests.support.builders import a_recovered, as_seen

POD = "postgres-prod-recovered-1-full-recovery-x7k2p"
WAL = "00000001000000000000000{}"
HEALTHY = as_seen(a_recovered())
SETTING_UP = as_seen(a_recovered(), healthy=False)
UNRECOVERABLE = replace(SETTING_UP, phase=UNRECOVERABLE_PHASE, phase_reason="Instance creation failed for x")


def _cnpg(message: str, **more: str) -> LogSeen:
    line = {"level": "info", "ts": "2026-11-22T16:42:20.1Z", "logger": "instance-manager", "msg": message, **more}
    return LogSeen(pod=POD, line=json.dumps(line))


def _postgres(message: str, severity: str = "LOG") -> LogSeen:
    record = {"log_time": "2026-11-22 16:42:26.7 UTC", "process_id": "31", "error_severity": severity}
    line = {"level": "info", "ts": "2026-11-22T16:42:26.7Z", "logger": "postgres", "msg": "record"}
    return LogSeen(pod=POD, line=json.dumps({**line, "record": {**record, "message": message}}))


def _pod(phase: str = "Running", name: str = POD, waiting_for: str = "") -> PodSeen:
    return PodSeen(name=name, recovery=True, phase=phase, waiting_for=waiting_for)


def _restored(number: int) -> LogSeen:
    return _postgres(f'restored log file "{WAL.format(number)}" from archive')


RESTORING = _cnpg("Starting barman-cloud-restore")
AGAIN = replace(RESTORING, pod="second")
RESTORE_DONE = _cnpg("Restore completed")
INSTANCE = PodSeen(name="postgres-prod-recovered-1", recovery=False, phase="Pending")
TOO_EARLY = _postgres("recovery ended before configured recovery target was reached", "FATAL")


def _after(*seen: Observation) -> RecoveryProgress:
    return reduce(lambda progress, one: progress.after(one), seen, RecoveryProgress())


WHOLE: list[tuple[Observation, Stage]] = [
    (SETTING_UP, Stage.WAITING),
    (_pod("Pending"), Stage.WAITING),
    (_pod("Running"), Stage.WAITING),
    (RESTORING, Stage.BASE_BACKUP),
    (RESTORE_DONE, Stage.REPLAY),
    (_restored(3), Stage.REPLAY),
    (_postgres("archive recovery complete"), Stage.FINISHING),
    (_pod("Succeeded"), Stage.STARTING),
    (INSTANCE, Stage.STARTING),
    (HEALTHY, Stage.HEALTHY),
]


def test_a_recovery_goes_through_its_stages_in_order() -> None:
    stages = [_after(*(seen for seen, _ in WHOLE[: count + 1])).stage for count in range(len(WHOLE))]
    assert stages == [stage for _, stage in WHOLE]


def test_the_beginning_is_creating_the_cluster() -> None:
    assert RecoveryProgress().stage is Stage.CREATING


@pytest.mark.parametrize("late", [SETTING_UP, _pod("Pending"), _pod("Running")], ids=["cluster", "pending", "running"])
def test_a_late_observation_moves_no_stage_back(late: Observation) -> None:
    assert _after(_pod(), RESTORING, RESTORE_DONE, _restored(3), late).stage is Stage.REPLAY


@pytest.mark.parametrize(
    "late",
    [SETTING_UP, RESTORING, RESTORE_DONE, _restored(9), TOO_EARLY, _pod("Failed"), _pod("Pending"), INSTANCE],
    ids=["cluster", "restoring", "restored", "wal", "fatal", "failed pod", "pending pod", "instance"],
)
def test_healthy_is_not_taken_back_by_what_comes_late(late: Observation) -> None:
    progress = _after(HEALTHY, late)
    assert progress.stage is Stage.HEALTHY
    assert progress.failure is None


def test_healthy_clears_an_earlier_failure() -> None:
    progress = _after(_pod("Failed"), HEALTHY)
    assert (progress.stage, progress.failure) == (Stage.HEALTHY, None)


def test_segments_are_counted_and_the_last_is_named() -> None:
    progress = _after(RESTORING, _restored(3), _restored(4), _restored(5))
    assert (progress.segments, progress.wal) == (3, WAL.format(5))


def test_a_segment_that_is_seen_twice_counts_once() -> None:
    assert _after(RESTORING, _restored(3), _restored(3)).segments == 1


@pytest.mark.parametrize("name", ["00000002.history", "000000010000000000000003.00000028.backup"])
def test_only_segments_are_counted(name: str) -> None:
    assert _after(RESTORING, _postgres(f'restored log file "{name}" from archive')).segments == 0


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22 16:42:26.716751+00", datetime(2026, 11, 22, 16, 42, 26, 716751, UTC)),
        ("2026-11-22 16:42:26+00", datetime(2026, 11, 22, 16, 42, 26, 0, UTC)),
        ("2026-11-23 01:42:26.5+09", datetime(2026, 11, 22, 16, 42, 26, 500000, UTC)),
        ("2026-11-22 22:12:26.5+05:30", datetime(2026, 11, 22, 16, 42, 26, 500000, UTC)),
    ],
)
def test_the_last_commit_is_read_in_utc_whatever_the_servers_zone(text: str, moment: datetime) -> None:
    last = _after(_postgres(f"last completed transaction was at log time {text}")).last_commit
    assert last == moment
    assert last is not None
    assert last.utcoffset() == timedelta(0)


def test_a_time_in_an_unknown_form_is_no_last_commit() -> None:
    assert (
        _after(_postgres("last completed transaction was at log time Sun 22 Nov 16:42:26 2026 UTC")).last_commit is None
    )


def test_the_last_commit_is_taken_even_when_the_line_comes_after_healthy() -> None:
    line = _postgres("last completed transaction was at log time 2026-11-22 16:42:26+00")
    assert _after(HEALTHY, line).last_commit is not None


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (TOO_EARLY, "recovery-target-not-reached"),
        (_cnpg("Error while restoring a backup", error="no target backup found"), "no-target-backup"),
        (
            _cnpg("Error while restoring", error="rpc error: code = Unknown desc = no target backup found"),
            "no-target-backup",
        ),
        (
            _cnpg("ERROR: WAL archive check failed for server pg-rec: Expected empty archive"),
            "archive-not-empty",
        ),
        (_postgres("recovery aborted because of insufficient parameter settings", "FATAL"), "parameters-too-low"),
        (_postgres('could not write to file "pg_wal/xlogtemp.31": No space left on device', "PANIC"), "volume-full"),
        (LogSeen(pod=POD, line="tar: base/5/1259: Cannot write: No space left on device"), "volume-full"),
        (_postgres("recovery target timeline 7 does not exist", "FATAL"), "timeline-missing"),
        (_postgres("requested timeline 2 is not a child of this server's history", "FATAL"), "timeline-missing"),
        (_cnpg("Missing required python module: python-snappy"), "codec-missing"),
        (
            _cnpg(
                "Barman cloud restore exception: 403 GET https://storage.googleapis.com/x: pg@acme does not have "
                "storage.objects.get access to the Google Cloud Storage object."
            ),
            "archive-forbidden",
        ),
        (
            _cnpg("Barman exception: An error occurred (AccessDenied) when calling the GetObject operation"),
            "archive-forbidden",
        ),
    ],
    ids=[
        "target",
        "backup in-tree",
        "backup plugin",
        "archive",
        "parameters",
        "disk by postgres",
        "disk by tar",
        "timeline",
        "timeline of another",
        "codec",
        "access",
        "access to S3",
    ],
)
def test_each_signature_is_a_final_failure_with_a_remedy(line: LogSeen, code: str) -> None:
    failure = _after(_pod(), RESTORING, line).failure
    assert failure is not None
    assert (failure.code, failure.final) == (code, True)
    assert failure.remedy


def test_a_pod_of_before_this_run_fails_without_the_last_word() -> None:
    # GIVEN a pod that began before the WAL was sealed, which the next attempt will find
    progress = _after(_pod(), RESTORING, replace(TOO_EARLY, stale=True))
    assert progress.failure is not None
    assert (progress.failure.code, progress.failure.final) == ("recovery-target-not-reached", False)
    # THEN the next attempt is told as any other, and its own failure is final
    again = progress.after(_pod("Running", "second")).after(AGAIN)
    assert again.failure is None
    failed = again.after(TOO_EARLY).failure
    assert failed is not None
    assert failed.final


@pytest.mark.parametrize(
    "line",
    [
        _cnpg("ERROR: WAL file 00000002.history for server pg-src does not exist"),
        _postgres("the database system is starting up", "FATAL"),
        _cnpg("while waiting for PostgreSQL to stop recovery mode"),
        LogSeen(pod=POD, line=""),
        LogSeen(pod=POD, line="[1, 2]"),
        LogSeen(pod=POD, line='{"record": {"x": 1}, "msg": 7}'),
        LogSeen(pod=POD, line="{broken"),
    ],
    ids=["no such WAL", "starting up", "waiting", "empty", "a list", "odd", "broken"],
)
def test_what_every_recovery_logs_is_no_failure(line: LogSeen) -> None:
    before = _after(_pod(), RESTORING)
    assert before.after(line) == before


def _program(words: str) -> LogSeen:
    """A line of the program that fetches WAL, as PostgreSQL's collector hands its standard error on."""
    return LogSeen(pod=POD, line=json.dumps({"logger": "postgres", "msg": f"postgres-dr: {words}"}))


def test_a_segment_that_the_store_does_not_give_is_waited_for_until_it_comes() -> None:
    """E1: the live view shows that the store is waited for."""
    # GIVEN a replay
    replaying = _after(_pod(), RESTORING, _restored(3))
    # WHEN barman takes long, or fails
    for words in (
        "WAL 000000010000000000000004 is still not fetched after 15 s",
        "WAL 000000010000000000000004 could not be fetched (barman ended with 4); trying again, for 200 s more",
    ):
        waiting = replaying.after(_program(words))
        # THEN that is shown, and nothing has failed
        assert waiting == replace(replaying, waiting_for=words)
        # AND over as soon as PostgreSQL has it
        assert waiting.after(_restored(4)).waiting_for == ""
        assert waiting.after(AGAIN).waiting_for == ""


def test_a_segment_that_was_not_to_be_had_is_a_failure_that_another_attempt_may_not_meet() -> None:
    """E1: PostgreSQL was stopped, where it would have ended the recovery without a word."""
    words = "WAL 000000010000000000000004 could not be fetched within 300 s (barman ended with 4)"
    waiting = _program(f"{words[:48]} (barman ended with 4); trying again, for 1 s more")
    progress = _after(_pod(), RESTORING, _restored(3), waiting, _program(f"{words}; PostgreSQL is stopped"))
    failure = progress.failure
    assert failure is not None
    assert progress.waiting_for == ""
    assert (failure.code, failure.final) == ("wal-not-fetched", False)
    assert failure.cause.startswith(words)


def test_a_failed_pod_whose_log_said_nothing_is_a_failure_but_not_a_final_one() -> None:
    failure = _after(_pod("Failed")).failure
    assert failure is not None
    assert (failure.code, failure.final) == ("recovery-failed", False)
    assert POD in failure.cause


@pytest.mark.parametrize("order", [[TOO_EARLY, _pod("Failed")], [_pod("Failed"), TOO_EARLY]], ids=["log", "pod"])
def test_the_logs_cause_is_kept_whichever_comes_first(order: list[Observation]) -> None:
    failure = _after(*order).failure
    assert failure is not None
    assert failure.code == "recovery-target-not-reached"


def test_a_new_attempt_forgets_the_failure_and_the_wal_of_the_one_before() -> None:
    progress = _after(RESTORING, _restored(3), _pod("Failed", "first"), _pod("Running", "second"), AGAIN)
    assert (progress.attempt, progress.failure, progress.segments, progress.stage) == (2, None, 0, Stage.BASE_BACKUP)


def test_the_sidecars_log_that_comes_late_begins_nothing_anew() -> None:
    # The Barman Cloud plugin's sidecar tells of the base backup, PostgreSQL of the rest: two logs of one pod.
    progress = _after(RESTORING, _restored(3), TOO_EARLY, RESTORING)
    assert (progress.segments, progress.stage) == (1, Stage.REPLAY)
    assert progress.failure is not None
    assert progress.failure.code == "recovery-target-not-reached"


@pytest.mark.parametrize("phase", PLUGIN_PHASES)
def test_a_plugin_that_is_not_reached_is_told_until_it_is(phase: str) -> None:
    down = replace(SETTING_UP, phase=phase, phase_reason="connection refused")
    failure = _after(down).failure
    assert failure is not None
    assert (failure.code, failure.final) == ("plugin-unavailable", False)
    assert "connection refused" in failure.cause
    assert _after(down, SETTING_UP).failure is None
    assert _after(_pod("Failed"), SETTING_UP).failure is not None


def test_the_sidecars_word_on_an_archive_in_use_explains_the_failure() -> None:
    generic = _cnpg("Error while restoring a backup", error="rpc error: code = Unknown desc = unexpected failure")
    line = "ERROR: WAL archive check failed for server postgres-prod-recovered: Expected empty archive"
    failure = _after(generic, _pod("Failed"), LogSeen(pod=POD, line=line)).failure
    assert failure is not None
    assert (failure.code, failure.final) == ("archive-not-empty", True)


def test_wal_of_another_database_is_recognised() -> None:
    """E3."""
    words = "WAL file is from different database system: WAL file database system identifier is 74"
    failure = _after(LogSeen(pod=POD, line=words)).failure
    assert failure is not None
    assert (failure.code, failure.final) == ("wal-of-another-database", False)


@pytest.mark.parametrize(
    ("line", "code", "final"),
    [
        (
            _postgres("requested recovery stop point is before consistent recovery point", "FATAL"),
            "target-before-consistency",
            True,
        ),
        (_postgres("could not locate required checkpoint record", "FATAL"), "base-wal-missing", False),
        (_postgres("could not locate required checkpoint record at 0/3000060", "FATAL"), "base-wal-missing", False),
        (
            _postgres("could not find redo location referenced by checkpoint record", "FATAL"),
            "base-wal-missing",
            False,
        ),
        (_postgres("WAL ends before end of online backup", "FATAL"), "base-wal-missing", False),
        (
            _cnpg("ERROR: Barman cloud restore exception: Project was not passed and could not be determined"),
            "archive-credentials",
            False,
        ),
        (
            _cnpg("File /controller/.application_credentials.json is not a valid json file."),
            "archive-credentials",
            True,
        ),
        (
            _postgres('could not access file "timescaledb": No such file or directory', "FATAL"),
            "library-missing",
            True,
        ),
        (_postgres("database files are incompatible with server", "FATAL"), "version-differs", True),
        (
            _cnpg("barman-cloud-restore: error: unrecognized arguments: /var/lib/postgresql/data/pgdata"),
            "barman-arguments",
            True,
        ),
        (
            _cnpg("barman-cloud-wal-restore: error: argument --cloud-provider: invalid choice: 'google'"),
            "barman-arguments",
            True,
        ),
    ],
)
def test_well_known_failures_are_explained(line: LogSeen, code: str, final: bool) -> None:
    """E33, C11: the words of PostgreSQL, of google-auth and google-cloud-storage, and of barman's argparse."""
    failure = _after(line).failure
    assert failure is not None
    assert (failure.code, failure.final) == (code, final)


def test_a_library_that_only_a_function_names_ends_no_recovery() -> None:
    """C11."""
    words = 'could not access file "$libdir/timescaledb-2.9.1": No such file or directory'
    assert _after(_postgres(words, "ERROR")).failure is None


def test_a_failed_pod_that_is_seen_twice_is_one_attempt() -> None:
    assert _after(_pod("Failed", "a"), _pod("Failed", "a"), _pod("Running", "b")).attempt == 2


def test_an_unrecoverable_cluster_is_a_final_failure() -> None:
    failure = _after(UNRECOVERABLE).failure
    assert failure is not None
    assert failure.final
    assert "Instance creation failed for x" in failure.cause


def test_an_unrecoverable_cluster_keeps_the_cause_that_its_log_gave() -> None:
    failure = _after(_pod("Failed"), UNRECOVERABLE).failure
    assert failure is not None
    assert failure.final
    assert POD in failure.cause


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("FailedCreate", 'pods "x" is forbidden: exceeded quota: compute'),
        ("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found'),
        ("FailedScheduling", "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims"),
    ],
)
def test_a_warning_that_holds_the_pod_up_is_shown_while_there_is_none(reason: str, message: str) -> None:
    progress = _after(SETTING_UP, WarningSeen(about="postgres-prod-recovered-1", reason=reason, message=message))
    assert progress.waiting_for == f"postgres-prod-recovered-1: {message}"


def test_a_pod_that_waits_says_for_what() -> None:
    assert _after(_pod("Pending", waiting_for="unbound volume")).waiting_for == "unbound volume"


@pytest.mark.parametrize("running", [_pod("Running"), RESTORING, HEALTHY], ids=["pod", "restore", "healthy"])
def test_nothing_is_waited_for_once_it_runs(running: Observation) -> None:
    held_up = WarningSeen(about="x", reason="FailedScheduling", message="no node")
    assert _after(held_up, _pod("Running"), running).waiting_for == ""


def test_warnings_after_the_restore_began_are_not_shown() -> None:
    warning = WarningSeen(about="x", reason="FailedMount", message="stale")
    assert _after(_pod(), RESTORING, warning).waiting_for == ""


def test_a_probe_that_fails_holds_nothing_up() -> None:
    assert _after(SETTING_UP, WarningSeen(about="x", reason="Unhealthy", message="probe")).waiting_for == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"msg": "record", "record": {"message": "hello"}}', "hello"),
        ('{"msg": "failed", "error": "because"}', "failed: because"),
        ('{"msg": "plain"}', "plain"),
        ("  no JSON ", "no JSON"),
        ("7", "7"),
    ],
)
def test_the_message_is_found_wherever_it_stands(line: str, message: str) -> None:
    assert message_of(line) == message


def test_every_kind_of_observation_is_taken() -> None:
    kinds: list[Any] = [ClusterSnapshot, PodSeen, LogSeen, WarningSeen]
    assert set(Observation.__args__) == set(kinds)
