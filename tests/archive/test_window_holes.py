"""What a hole in the archived WAL means for one recovery."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dr.archive.contents import Archive, BaseBackup
from dr.archive.window import problems_of_holes, warnings_of_holes
from dr.core.errors import RefusedError
from dr.core.target import ImmediateTarget, LsnTarget, NameTarget, RecoveryTarget, TimeTarget, XidTarget
from tests.support.archives import SEGMENT, archive, at, backup, switch, wal
from tests.support.builders import a_decision, a_situation

BASE = backup(3, segments=2)
# Segments 8 to 10 are missing; 11 was archived at 110.
HOLE = archive(BASE, backup(15), files=wal([*range(1, 8), *range(11, 21)]))
LATER = at(1000)


def _codes(target: RecoveryTarget | None, found: Archive = HOLE, base: BaseBackup = BASE) -> list[str]:
    return [problem.code for problem in problems_of_holes(found, base, target, seen_at=LATER)]


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        (TimeTarget(at(60)), False),
        (TimeTarget(at(70)), False),
        (TimeTarget(at(70) + timedelta(seconds=1)), True),
        (TimeTarget(at(149)), True),
        (LsnTarget(8 * SEGMENT - 1), False),
        (LsnTarget(8 * SEGMENT), True),
        (LsnTarget(14 * SEGMENT), True),
        (ImmediateTarget(backup_id=BASE.backup_id), False),
        (XidTarget(742, backup_id=BASE.backup_id), False),
        (NameTarget("x", backup_id=BASE.backup_id), False),
        (None, True),
    ],
    ids=str,
)
def test_a_target_behind_the_hole_is_refused(target: RecoveryTarget | None, refused: bool) -> None:
    assert _codes(target) == (["wal-missing"] if refused else [])


def test_the_refusal_names_the_segments_and_what_can_be_reached() -> None:
    (problem,) = problems_of_holes(HOLE, BASE, TimeTarget(at(100)), seen_at=LATER)
    assert "3 WAL segments, 000000010000000000000008 to 00000001000000000000000A" in problem.cause
    assert "until 2026-04-20 01:10:00 UTC, or after base backup backup-15" in problem.remedy


@pytest.mark.parametrize("number", [3, 4])
def test_a_base_backup_that_lacks_its_own_wal_is_refused_for_every_target(number: int) -> None:
    found = archive(BASE, files=wal({*range(1, 21)} - {number}))
    for target in (TimeTarget(at(45)), ImmediateTarget(backup_id=BASE.backup_id), None):
        assert _codes(target, found) == ["wal-missing"]


def test_a_hole_before_the_base_backup_is_none() -> None:
    assert _codes(TimeTarget(at(190)), base=backup(15)) == []


def test_wal_that_has_not_come_yet_is_no_hole() -> None:
    # GIVEN a base backup whose own last segment is not archived, and nothing after it
    assert _codes(TimeTarget(at(500)), archive(BASE, files=wal([1, 2, 3]))) == []


def test_a_hole_that_may_be_on_its_way_is_none_yet() -> None:
    # GIVEN that the segment after it was archived nine minutes ago
    seen_at = at(110 + 9)
    assert list(problems_of_holes(HOLE, BASE, TimeTarget(at(100)), seen_at=seen_at)) == []
    assert list(warnings_of_holes(HOLE, BASE, None, seen_at=seen_at)) == []


def test_where_no_times_are_known_only_what_is_certain_is_refused() -> None:
    timeless = replace(HOLE, files=dict.fromkeys(HOLE.files))
    assert _codes(TimeTarget(at(500)), timeless) == []


def test_only_the_timeline_that_is_followed_counts() -> None:
    # GIVEN a hole of timeline 1 after timeline 2 has left it
    files = {**wal([1, 2, 3, 4, 5, 7, 8]), **wal(range(5, 9), timeline=2)}
    found = archive(BASE, files=files, histories={2: (switch(1, 5.5),)})
    assert _codes(TimeTarget(at(80)), found) == []
    assert _codes(TimeTarget(at(80), timeline=1), found) == ["wal-missing"]


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (None, "the recovery will end there, and what was committed after 2026-04-20 01:10:00 UTC will not be in it"),
        (XidTarget(742, backup_id="b"), "if transaction 742 lies behind it"),
        (NameTarget("x", backup_id="b"), "if restore point 'x' lies behind it"),
    ],
    ids=str,
)
def test_what_nobody_else_would_say_is_a_warning(target: RecoveryTarget | None, told: str) -> None:
    (warning,) = warnings_of_holes(HOLE, BASE, target, seen_at=LATER)
    assert told in warning


@pytest.mark.parametrize("target", [TimeTarget(at(60)), LsnTarget(1)], ids=str)
def test_a_target_before_the_hole_wants_no_warning(target: RecoveryTarget) -> None:
    assert list(warnings_of_holes(HOLE, BASE, target, seen_at=LATER)) == []


def test_a_decision_heeds_the_holes() -> None:
    # GIVEN a situation whose newest base backup has a hole after it
    good = a_situation()
    assert good.catalogue is not None
    holed = replace(good, archive=HOLE, catalogue=replace(good.catalogue, backups=(BASE,)))
    # THEN the end of the WAL is refused, or comes with a warning, and an LSN before the hole without
    with pytest.raises(RefusedError) as refused:
        a_decision(holed, target=None)
    assert [problem.code for problem in refused.value.problems] == ["wal-missing"]
    assert "what was committed after 2026-04-20 01:10:00 UTC would not be in it" in refused.value.cause
    assert refused.value.remedy.endswith("add --override target-outside=postgres-prod-recovered")
    agreed = a_decision(holed, target=None, insists=True)
    assert any("are missing in the archive" in warning for warning in agreed.warnings)
    near = LsnTarget(BASE.end_lsn + 1)
    assert a_decision(holed, target=near).warnings == ()
