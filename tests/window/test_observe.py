"""A target behind the end of an archive to which nothing can be added."""

from dataclasses import replace

import pytest

from dr.archive.window import problems_of_end
from dr.core.errors import Problem
from dr.core.target import LsnTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.recovery.preconditions import preconditions
from tests.support.archives import SEGMENT, archive, at, backup, wal
from tests.support.builders import a_request, a_situation, a_source, an_environment

ARCHIVE = archive(backup(1), files=wal(range(1, 6)))
"""Segments 1 to 5; the last was archived at minute 50."""


def _problems(target: RecoveryTarget | None) -> list[Problem]:
    return list(problems_of_end(ARCHIVE, ARCHIVE.backups[0], target))


@pytest.mark.parametrize("target", [TimeTarget(at(50)), TimeTarget(at(70)), LsnTarget(6 * SEGMENT + 1)])
def test_a_target_that_nothing_archived_can_reach_is_refused_with_the_nearest(target: RecoveryTarget) -> None:
    (problem,) = _problems(target)
    assert problem.code == "target-after-archive"
    assert "000000010000000000000005" in problem.cause
    assert "dr latest" in problem.remedy
    nearest = "LSN 0/6000000" if isinstance(target, LsnTarget) else TimeTarget(at(50)).value
    assert nearest in problem.remedy


@pytest.mark.parametrize("target", [None, TimeTarget(at(49)), LsnTarget(6 * SEGMENT), XidTarget(9)])
def test_what_may_be_reached_is_left_to_the_recovery(target: RecoveryTarget | None) -> None:
    assert _problems(target) == []


def test_the_end_is_that_of_the_timeline_that_the_recovery_follows() -> None:
    assert _problems(TimeTarget(at(70), timeline=9)) == []


@pytest.mark.parametrize(
    ("alive", "seal", "insists", "remedy"),
    [
        (True, True, False, None),
        (True, False, False, "leave --skip-seal out"),
        (True, False, True, None),
        (False, True, False, "dr latest"),
        (False, False, True, "dr latest"),
    ],
)
def test_a_source_that_lives_can_still_add_to_its_archive_unless_that_is_left_out(
    *, alive: bool, seal: bool, insists: bool, remedy: str | None
) -> None:
    base = backup(1)
    late = TimeTarget(at(70))
    situation = a_situation()
    catalogue = situation.catalogue
    assert catalogue is not None
    seen = replace(
        situation,
        source=a_source(),
        archive=ARCHIVE,
        catalogue=replace(catalogue, backups=(base,)),
        database_time=at(80) if alive else None,
        primary_down=not alive,
        seen_at=at(80),
    )
    request = replace(a_request(target=late), seal=seal, insists=insists)
    found = list(preconditions(an_environment(), request, seen))
    assert [problem.code for problem in found] == (["target-after-archive"] if remedy else [])
    assert all(remedy in problem.remedy for problem in found if remedy)
