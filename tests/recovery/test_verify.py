"""Sealing the WAL and verifying, with a double of psql."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from dr.archive.seal import seal_wal
from dr.core.commands import ANY_RUN
from dr.core.errors import AccessError, StepFailedError, VerificationError
from dr.postgres.psql import Psql
from dr.recovery.verify import VerificationResult, judge, verify_database, verify_last_commit
from tests.support.builders import TARGET, TARGET_TIME, an_environment

SEGMENT = "000000010000000000000007"
SEALED = ["731", f"0/7000158|00000001|{2**24}", "0/7000170"]


class PsqlDouble(Psql):
    """Answers each call with the next of ``answers``, and keeps the statements."""

    def __init__(self, *answers: list[str] | AccessError) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._answers = list(answers)

    def ask(self, *statements: str, limit: float = 30, stop: Event | None = None) -> list[str]:
        self.asked.append(statements)
        answer = self._answers.pop(0)
        if isinstance(answer, AccessError):
            raise answer
        return answer


def _failed(code: str) -> AccessError:
    return AccessError(code, "PostgreSQL's words", "do")


def test_sealing_commits_before_it_switches_and_then_waits_for_that_segment() -> None:
    psql = PsqlDouble(SEALED, ["t|8|0|none"])
    assert _seal(psql) == SEGMENT
    (commit, end, switch), (wait, _) = psql.asked
    assert "pg_current_xact_id" in commit
    assert "pg_current_wal_insert_lsn" in end
    assert "pg_switch_wal" in switch
    assert SEGMENT in wait
    assert "pg_stat_archiver" in wait


def _seal(psql: Psql, said: list[str] | None = None, limit: float = 0) -> str:
    return seal_wal(psql, limit=limit, stop=Event(), say=(said if said is not None else []).append).segment


def test_what_is_sealed_is_a_position_that_a_recovery_can_be_held_against() -> None:
    sealed = seal_wal(PsqlDouble(SEALED, ["t|8|0|none"]), stop=Event(), say=print)
    assert (sealed.end.timeline, sealed.end.lsn, sealed.end.segment_size) == (1, 0x7000158, 2**24)


@pytest.mark.parametrize(
    ("position", "size", "segment"),
    [
        ("0/8000000", 2**24, "000000010000000000000007"),
        ("0/8000028", 2**24, "000000010000000000000008"),
        ("1/40000000", 2**30, "000000010000000100000000"),
        ("A/FF000001", 2**24, "000000010000000A000000FF"),
    ],
)
def test_the_segment_that_is_waited_for_is_that_of_the_commit(position: str, size: int, segment: str) -> None:
    """E27: at a boundary ``pg_walfile_name`` names another one, by PostgreSQL's version; somebody may have switched."""
    psql = PsqlDouble(["731", f"{position}|00000001|{size}", position], ["t|8|0|none"])
    assert _seal(psql) == segment


def test_a_segment_behind_others_is_waited_for_as_long_as_they_are_archived() -> None:
    said: list[str] = []
    waiting = [[f"f|{archived}|{left}|none"] for archived, left in ((5, 3), (6, 2), (7, 1))]
    assert _seal(PsqlDouble(SEALED, *waiting, ["t|8|0|none"]), said) == SEGMENT
    assert [line.split(",")[0] for line in said] == [f"{left} WAL segments wait to be archived" for left in (3, 2, 1)]


def test_where_none_is_archived_any_more_it_is_told_with_the_last_failure() -> None:
    failure = f"{SEGMENT} at 2026-04-27 10:00:00+00"
    with pytest.raises(StepFailedError) as failed:
        _seal(PsqlDouble(SEALED, *[[f"f|5|3|{failure}"]] * 2))
    assert failed.value.code == "wal-not-archived"
    assert "3 segments wait" in failed.value.cause
    assert failure in failed.value.cause


@pytest.mark.parametrize("code", ["exec-interrupted", "exec-timeout", "api-unreachable", "sql-failed"])
def test_another_failure_while_sealing_stays_what_it_is(code: str) -> None:
    with pytest.raises(AccessError) as failed:
        _seal(PsqlDouble(SEALED, _failed(code)))
    assert failed.value.code == code


def _findings(answer: str, in_recovery: str = "f", **query: object) -> dict[str, VerificationResult]:
    verification = [{"name": "users", "sql": "SELECT count(*) FROM users", **query}]
    found = verify_database(PsqlDouble([answer, in_recovery]), an_environment(verification=verification))
    return {finding.name: finding for finding in found}


@pytest.mark.parametrize(
    ("answer", "query", "passed"),
    [
        ("100000", {"atLeast": 1}, True),
        ("1", {"atLeast": 1}, True),
        ("0", {"atLeast": 1}, False),
        ("", {"atLeast": 1}, False),
        ("many", {"atLeast": 1}, False),
        ("3.5 USE_GEOS=1", {}, None),
        ("", {}, False),
    ],
)
def test_an_answer_is_judged_by_what_is_configured(answer: str, query: dict[str, Any], passed: bool | None) -> None:
    assert _findings(answer, **query)["users"] == VerificationResult(name="users", value=answer, passed=passed)


@pytest.mark.parametrize(("said", "passed"), [("f", True), ("t", False)])
def test_a_server_in_recovery_does_not_pass(said: str, passed: bool) -> None:
    assert _findings("1", said)["out of recovery"].passed is passed


def test_all_is_asked_in_one_round_trip() -> None:
    psql = PsqlDouble(["1", "f"])
    verify_database(psql, an_environment())
    assert len(psql.asked) == 1


@pytest.mark.parametrize(("late", "passed"), [(-1, True), (0, True), (1, False)])
def test_the_last_transaction_has_to_lie_at_or_before_the_target(late: int, passed: bool) -> None:
    assert verify_last_commit(TARGET_TIME + timedelta(seconds=late), TARGET).passed is passed


def test_at_the_end_of_the_wal_the_last_transaction_is_told_and_not_judged() -> None:
    finding = verify_last_commit(TARGET_TIME, None)
    assert (finding.value, finding.passed) == (str(TARGET), None)


def test_without_a_replayed_transaction_there_is_nothing_to_judge() -> None:
    assert verify_last_commit(None, TARGET).passed is None


def test_findings_that_passed_or_cannot_be_judged_raise_nothing() -> None:
    judge(
        [VerificationResult(name="a", value="1", passed=True), VerificationResult(name="b", value="2", passed=None)],
        ANY_RUN,
    )


def test_every_finding_that_failed_is_told() -> None:
    findings = [VerificationResult(name=name, value="0", passed=False) for name in ("users", "archiving")]
    with pytest.raises(VerificationError) as failed:
        judge(findings, ANY_RUN)
    assert failed.value.exit_code == 8
    assert "users is 0; archiving is 0" in failed.value.cause
    assert "do not move traffic" in failed.value.remedy


def test_a_query_that_postgresql_refuses_is_a_finding_and_the_others_are_still_asked() -> None:
    # GIVEN a table that is not there
    queries = [{"name": "users", "sql": "SELECT count(*) FROM users"}, {"name": "PostGIS", "sql": "SELECT 3"}]
    psql = PsqlDouble(_failed("sql-failed"), ["f"], _failed("sql-failed"), ["3"])
    # WHEN
    findings = verify_database(psql, an_environment(verification=queries))
    # THEN
    assert findings == [
        VerificationResult(name="users", value="no answer: PostgreSQL's words", passed=False),
        VerificationResult(name="PostGIS", value="3", passed=None),
        VerificationResult(name="out of recovery", value="yes", passed=True),
    ]
    with pytest.raises(VerificationError):
        judge(findings, ANY_RUN)


def test_a_database_that_does_not_answer_is_no_finding() -> None:
    with pytest.raises(AccessError) as failed:
        verify_database(PsqlDouble(_failed("exec-timeout")), an_environment())
    assert failed.value.code == "exec-timeout"
