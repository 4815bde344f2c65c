"""Where a recovery has to end, and how it is held against that (E1)."""

from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest

from dr.archive.contents import Switch
from dr.archive.promise import Promise, promise_of, read_history
from dr.core.errors import AccessError, VerificationError
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, XidTarget
from dr.postgres.psql import Psql
from dr.recovery.verify import VerificationResult, judge, verify_end
from tests.support.archives import SEGMENT, archive, backup, switch, wal
from tests.support.builders import NOW, TARGET, TARGET_TIME, a_record, a_recovered, an_environment

MIB = 2**20
SEALED = Promise(timeline=1, lsn=0x7000158, segment_size=SEGMENT, why="up to which the source's WAL was sealed")
NO_TARGET = "no recovery target specified"


class HistoryDouble(Psql):
    """Answers with a history file's content, or as PostgreSQL fails."""

    def __init__(self, content: str | AccessError) -> None:
        self._content = content

    def ask(self, *statements: str, limit: float = 30, stop: Event | None = None) -> list[str]:
        assert "pg_read_file" in statements[-1]
        if isinstance(self._content, AccessError):
            raise self._content
        return self._content.splitlines()


def _ended(content: str, promise: Promise | None = SEALED, target: RecoveryTarget | None = None) -> VerificationResult:
    return verify_end(HistoryDouble(content), promise, target)


# --- what is promised -------------------------------------------------------------------------------------------------


def test_the_end_of_the_archive_is_promised_but_for_a_record_that_goes_on_behind_it() -> None:
    promise = promise_of(archive(backup(2), files=wal(range(2, 8))), backup(2), None)
    assert promise is not None
    assert (promise.timeline, promise.lsn) == (1, 8 * SEGMENT - MIB)
    assert "000000010000000000000007" in promise.why


def test_with_small_segments_the_last_one_has_to_be_reached() -> None:
    small = backup(2, size=MIB)
    promise = promise_of(archive(small, files=wal(range(2, 8), size=MIB)), small, None)
    assert promise is not None
    assert promise.lsn == 7 * MIB + 1


def test_a_hole_ends_what_is_promised() -> None:
    promise = promise_of(archive(backup(2), files=wal([2, 3, 5])), backup(2), None)
    assert promise is not None
    assert promise.lsn == 4 * SEGMENT - MIB


def test_a_failover_behind_the_last_archived_segment_is_no_more_than_was_archived() -> None:
    found = archive(backup(2), files={**wal(range(2, 6)), "00000002.history": None}, histories={2: (switch(1, 5.5),)})
    promise = promise_of(found, backup(2), None)
    assert promise is not None
    assert (promise.timeline, promise.lsn) == (2, int(5.5 * SEGMENT) - MIB)
    assert verify_end(HistoryDouble(f"1\t0/5800000\t{NO_TARGET}\n2\t0/5800000\t{NO_TARGET}\n"), promise, None).passed


def test_what_a_target_promises_is_the_target() -> None:
    found = archive(backup(2), files=wal(range(2, 8)))
    wanted = LsnTarget(4 * SEGMENT)
    by_lsn = promise_of(found, backup(2), wanted)
    without_it = promise_of(found, backup(2), replace(wanted, exclusive=True))
    by_time = promise_of(found, backup(2), TARGET)
    assert by_lsn is not None
    assert by_lsn.lsn == 4 * SEGMENT
    assert without_it is not None
    assert by_time is not None
    assert without_it.lsn == by_time.lsn == backup(2).end_lsn


@pytest.mark.parametrize("found", [None, archive(backup(2), files={})], ids=["not read", "no WAL"])
def test_nothing_is_promised_of_an_archive_without_wal(found: object) -> None:
    assert promise_of(found, backup(2), None) is None  # type: ignore[arg-type]


# --- what is held against it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["0/7000158", "0/8000000"])
def test_an_end_at_or_behind_what_was_sealed_passes(end: str) -> None:
    finding = _ended(f"1\t{end}\t{NO_TARGET}\n")
    assert (finding.name, finding.passed) == ("end of the WAL", True)


def test_an_end_short_of_it_fails_with_both_positions_and_the_segment_that_was_not_read() -> None:
    """E1: one archived segment cut short, and PostgreSQL promoted without an error."""
    finding = _ended(f"1\t0/4000000\t{NO_TARGET}\n")
    assert finding.passed is False
    assert "LSN 0/4000000 of timeline 1" in finding.value
    assert "LSN 0/7000158 of timeline 1, up to which the source's WAL was sealed" in finding.value
    assert "from WAL segment 000000010000000000000004 on" in finding.value
    with pytest.raises(VerificationError) as failed:
        judge([VerificationResult(name="users", value="1", passed=True), finding], an_environment().commands)
    assert failed.value.code == "recovery-ended-early"
    assert "do not move traffic" in failed.value.remedy
    assert "python -m dr window --env prod shows" in failed.value.remedy


def test_a_recovery_that_never_came_to_the_timeline_fails() -> None:
    finding = _ended(f"1\t0/9000000\t{NO_TARGET}\n", SEALED.model_copy(update={"timeline": 2}))
    assert finding.passed is False


def test_a_failover_after_the_recovery_changes_nothing() -> None:
    assert _ended(f"1\t0/8000000\t{NO_TARGET}\n2\t0/9000000\t{NO_TARGET}\n").passed is True
    assert _ended(f"1\t0/4000000\t{NO_TARGET}\n2\t0/9000000\t{NO_TARGET}\n").passed is False


def test_a_promise_that_is_not_known_is_said_to_be_so() -> None:
    finding = _ended(f"1\t0/8000000\t{NO_TARGET}\n", None)
    assert finding.passed is None
    assert "not known" in finding.value
    # AND where it ended is said all the same: not where its source once left another timeline
    finding = _ended(f"1\t0/3000000\t{NO_TARGET}\n2\t0/8000000\t{NO_TARGET}\n", None)
    assert finding.value.startswith("not compared: LSN 0/8000000,")


@pytest.mark.parametrize("content", ["", AccessError("sql-failed", "could not open file", "look")], ids=["empty", "no"])
def test_a_history_that_cannot_be_read_proves_nothing(content: str | AccessError) -> None:
    assert verify_end(HistoryDouble(content), SEALED, None).passed is False


def test_an_api_server_that_does_not_answer_is_no_finding() -> None:
    with pytest.raises(AccessError, match="gone"):
        verify_end(HistoryDouble(AccessError("api-unreachable", "gone", "look")), SEALED, None)


# --- targets: PostgreSQL's own reason for its stop --------------------------------------------------------------------

AFTER = f"{TARGET_TIME + timedelta(seconds=1):%Y-%m-%d %H:%M:%S.%f}+00"
AT = f"{TARGET_TIME:%Y-%m-%d %H:%M:%S}+00"
LSN = LsnTarget(0x7000028)


@pytest.mark.parametrize(
    ("target", "reason", "because"),
    [
        (TARGET, f"before {AFTER}", True),
        (TARGET, f"before {AT}", False),
        (TARGET, NO_TARGET, False),
        (TARGET, "after transaction 742", False),
        (replace(TARGET, exclusive=True), f"before {AT}", True),
        (LSN, "after LSN 0/7000028", True),
        (LSN, "before LSN 0/7000060", True),
        (LSN, "after LSN 0/6FFFFF0", False),
        (LSN, NO_TARGET, False),
        (XidTarget(742), "after transaction 742", True),
        (XidTarget(742), "before transaction 742", True),
        (XidTarget(742), "after transaction 7421", False),
        (NameTarget("before 42"), 'at restore point "before 42"', True),
        (NameTarget("before 42"), 'at restore point "before 43"', False),
        (ImmediateTarget(backup_id="b"), "reached consistency", True),
        (ImmediateTarget(backup_id="b"), NO_TARGET, False),
    ],
)
def test_a_target_was_met_only_where_postgresql_stopped_because_of_it(
    target: RecoveryTarget, reason: str, because: bool
) -> None:
    end = Switch(parent=1, lsn=0x7000060, reason=f"{reason}\n")
    assert target.reached_by(end.reason) is because
    finding = _ended(f"1\t0/7000060\t{reason}\n\n", replace_lsn(0x7000028), target)
    assert (finding.name, finding.passed) == ("stopped at the target", because)


def replace_lsn(position: int) -> Promise:
    """A promise up to ``position``."""
    return SEALED.model_copy(update={"lsn": position})


def test_what_the_source_itself_was_recovered_to_once_is_not_taken_for_the_target() -> None:
    earlier = f"1\t0/3000000\tbefore {AFTER}\n"
    promise = Promise(timeline=2, lsn=0x4000000, segment_size=SEGMENT, why="where the base backup ended")
    assert _ended(f"{earlier}2\t0/7000060\t{NO_TARGET}\n", promise, TARGET).passed is False
    assert _ended(f"{earlier}2\t0/7000060\tbefore {AFTER}\n", promise, TARGET).passed is True


def test_a_history_file_is_read_as_postgresql_writes_it() -> None:
    content = (
        "1\t0/5000148\tbefore 2026-11-28 04:30:14.5+00\n\n# a comment\n2\tA/FF000000\tno recovery target specified\n"
    )
    assert [(one.parent, one.lsn) for one in read_history(content)] == [(1, 0x5000148), (2, 0xAFF000000)]


# --- what is remembered -----------------------------------------------------------------------------------------------


def test_a_promise_is_remembered_with_its_recovery_and_forgotten_with_another_of_the_name() -> None:
    cluster = a_recovered()
    record = a_record().with_recovery(cluster).with_promise(cluster.name, SEALED)
    assert record.promise(cluster.name) == SEALED
    assert record.with_recovery(cluster).promise(cluster.name) == SEALED
    other = replace(cluster, limit=cluster.limit + timedelta(minutes=1))
    assert record.with_recovery(other).promise(cluster.name) is None
    assert type(record).model_validate_json(record.model_dump_json()) == record
    assert a_record().promise(cluster.name) is None
    assert record.updated <= NOW
