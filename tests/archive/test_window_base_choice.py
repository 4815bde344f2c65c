"""Which base backup each kind of target gets, and what is said where there is none."""

from datetime import timedelta

import pytest

from dr.archive.contents import Catalogue, IncompleteBackup
from dr.archive.window import problems_of_base
from dr.core.errors import Problem
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from tests.support.archives import archive, at, backup, switch, wal

FIRST, SECOND, THIRD = backup(3), backup(10), backup(20, timeline=2)
CATALOGUE = Catalogue(server_name="postgres-prod", backups=(FIRST, SECOND, THIRD), server_names=frozenset())
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        (TimeTarget(SECOND.end), SECOND),
        (TimeTarget(SECOND.end - MOMENT), FIRST),
        (TimeTarget(at(9999)), THIRD),
        (TimeTarget(at(9999), timeline=1), SECOND),
        (TimeTarget(at(9999), backup_id="backup-3"), FIRST),
        (LsnTarget(SECOND.end_lsn + 1), SECOND),
        (LsnTarget(SECOND.end_lsn), FIRST),  # barman-cloud compares by "less"
        (LsnTarget(THIRD.end_lsn + 1), THIRD),
        (LsnTarget(THIRD.end_lsn + 1, timeline=1), SECOND),
        (LsnTarget(THIRD.end_lsn + 1, backup_id="backup-10", timeline=2), SECOND),
        (TimeTarget(SECOND.end, backup_id="backup-10"), SECOND),
        (LsnTarget(SECOND.end_lsn, backup_id="backup-10"), SECOND),
        (XidTarget(742, backup_id="backup-10"), SECOND),
        (NameTarget("x", backup_id="backup-20"), THIRD),
        (ImmediateTarget(backup_id="backup-3"), FIRST),
        (ImmediateTarget(backup_id="backup-3", timeline=7), FIRST),
    ],
    ids=str,
)
def test_the_base_is_the_one_that_cloudnativepg_takes(target: RecoveryTarget, taken: object) -> None:
    assert CATALOGUE.base_for(target) == taken
    assert list(problems_of_base(CATALOGUE, target)) == []


def _problem(target: RecoveryTarget) -> Problem:
    (problem,) = problems_of_base(CATALOGUE, target)
    assert problem.remedy
    return problem


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [
        (TimeTarget(FIRST.end - MOMENT), "target-before-first-backup", "2026-04-20 00:30:00 UTC"),
        (LsnTarget(FIRST.end_lsn), "target-before-first-backup", "LSN 0/3000138"),
        (TimeTarget(THIRD.end - MOMENT, timeline=2), "target-before-first-backup", "2026-04-20 03:20:00 UTC"),
        (TimeTarget(at(9999), timeline=3), "no-backup-on-timeline", "timeline 3"),
        (LsnTarget(1, timeline=3), "no-backup-on-timeline", "timeline 3"),
        (XidTarget(742, backup_id="nobody"), "backup-missing", "nobody"),
        (TimeTarget(at(9999), backup_id="nobody"), "backup-missing", "nobody"),
        (TimeTarget(SECOND.end - MOMENT, backup_id="backup-10"), "backup-after-target", "backup-10"),
        (LsnTarget(SECOND.end_lsn - 1, backup_id="backup-10"), "backup-after-target", "LSN 0/A000138"),
    ],
    ids=str,
)
def test_a_target_without_a_base_is_told_with_why(target: RecoveryTarget, code: str, told: str) -> None:
    problem = _problem(target)
    assert problem.code == code
    assert told in problem.cause


def test_what_is_offered_instead_is_taken() -> None:
    # GIVEN the remedy of a target before the first base backup
    remedy = _problem(TimeTarget(FIRST.end - MOMENT)).remedy
    # THEN the moment that it names is reached
    assert TimeTarget.parse(remedy.split()[4], now=at(9999)).time == FIRST.end
    assert CATALOGUE.base_for(TimeTarget(FIRST.end)) == FIRST


def test_an_unknown_backup_is_told_with_those_that_are_there_newest_first() -> None:
    remedy = _problem(ImmediateTarget(backup_id="nobody")).remedy
    assert "backup-20, backup-10, backup-3" in remedy


def test_a_timeline_that_does_not_exist_is_told_from_one_without_a_base_backup() -> None:
    found = archive(FIRST, THIRD, files=wal(range(1, 30)), histories={2: (switch(1, 15.5),), 3: (switch(2, 22.5),)})
    (missing,) = problems_of_base(CATALOGUE, TimeTarget(at(9999), timeline=4, backup_id="backup-3"), found)
    assert (missing.code, "give one of: 1, 2, 3" in missing.remedy) == ("timeline-missing", True)
    (without,) = problems_of_base(CATALOGUE, TimeTarget(at(9999), timeline=3), found)
    assert without.code == "no-backup-on-timeline"


def test_a_base_backup_that_runs_or_failed_is_told_from_one_that_is_not_there() -> None:
    running = IncompleteBackup(backup_id="backup-25", why="no backup.info: it runs still, or was broken off")
    found = archive(FIRST, files=wal(range(1, 30)), incomplete=(running,))
    (problem,) = problems_of_base(CATALOGUE, TimeTarget(at(9999), backup_id="backup-25"), found)
    assert problem.code == "backup-incomplete"
    assert "it runs still" in problem.cause
    assert "backup-20, backup-10, backup-3" in problem.remedy
    (other,) = problems_of_base(CATALOGUE, TimeTarget(at(9999), backup_id="nobody"), found)
    assert other.code == "backup-missing"
