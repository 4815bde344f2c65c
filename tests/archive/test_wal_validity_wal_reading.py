"""Which WAL is looked into, and what a recovery is told of it (E1, O6)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from dr.archive.contents import Archive, Catalogue
from dr.archive.wal_needed import problems_of_wal, warnings_of_wal
from dr.archive.wal_validity import FirstPage, in_order, needed, sample, with_pages
from dr.archive.window import holes, unusable, windows
from dr.cnpg.cluster import TARGET_ANNOTATION
from dr.core.errors import Problem, RefusedError
from dr.core.target import ImmediateTarget, LsnTarget, RecoveryTarget, TimeTarget, XidTarget
from dr.core.wal_names import name_of
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import Situation
from tests.support.archives import SEGMENT, archive, at, backup, first_page, switch, wal
from tests.support.builders import a_decision, a_recovered, a_request, a_situation, an_environment, as_seen

BASE = backup(3, segments=2)
WHOLE = archive(BASE, files=wal(range(1, 21)))
LATER = at(1000)
CUT = "its object has 8,388,608 bytes, and a segment has 16,777,216"
FORBIDDEN = Problem(code="bucket-forbidden", cause="it does not let this user in", remedy="log in")


def _name(number: int, timeline: int = 1) -> str:
    return name_of(timeline, number, SEGMENT)


def _numbers(names: Sequence[str]) -> list[int]:
    return [int(name[-8:], 16) for name in names]


def _problems(
    found: Archive, target: RecoveryTarget | None = None, *, coming: bool = False, insists: bool = False
) -> list[Problem]:
    return list(problems_of_wal(found, BASE, target, seen_at=LATER, coming=coming, insists=insists))


def _warnings(found: Archive, target: RecoveryTarget | None = None) -> list[str]:
    return list(warnings_of_wal(found, BASE, target, seen_at=LATER, live=""))


def _situation(found: Archive, *, alive: bool = True, seen_at: timedelta = timedelta(days=3)) -> Situation:
    catalogue = Catalogue(server_name="postgres-prod", backups=found.backups, server_names=frozenset())
    now = at(0) + seen_at
    return a_situation(archive=found, catalogue=catalogue, seen_at=now, primary_down=not alive)


class TestWhatIsNeeded:
    @pytest.mark.parametrize(
        ("target", "last"),
        [
            (None, 20),
            (XidTarget(9, backup_id="backup-3"), 20),
            (LsnTarget(8 * SEGMENT + 1), 8),
            (TimeTarget(at(80)), 9),
            (TimeTarget(at(9999)), 20),
            (ImmediateTarget(backup_id="backup-3"), 4),
        ],
        ids=str,
    )
    def test_from_the_base_backup_to_the_target(self, target: RecoveryTarget | None, last: int) -> None:
        assert _numbers(needed(WHOLE, BASE, target)) == [*range(3, last + 1)]

    def test_no_further_than_the_first_hole(self) -> None:
        found = archive(BASE, files=wal([*range(1, 8), *range(9, 12)]))
        assert _numbers(needed(found, BASE, None)) == [3, 4, 5, 6, 7]

    def test_a_switch_of_timelines_is_followed_in_the_newer_one(self) -> None:
        files = {**wal(range(1, 6)), **wal(range(5, 9), timeline=2)}
        found = archive(BASE, files=files, histories={2: (switch(1, 5.5),)})
        assert needed(found, BASE, None) == (_name(3), _name(4), *(_name(number, 2) for number in range(5, 9)))

    def test_nothing_where_the_base_backup_cannot_be_used(self) -> None:
        assert needed(archive(BASE, files={}), BASE, None) == ()

    def test_what_begins_and_ends_it_is_read_first(self) -> None:
        assert _numbers(in_order(WHOLE, needed(WHOLE, BASE, None), BASE)) == [3, 4, *range(20, 4, -1)]

    def test_where_times_run_backwards_is_read_first(self) -> None:
        files = {**WHOLE.files, _name(9): at(5000), _name(10): at(5001)}
        found = replace(WHOLE, files=files)
        assert _numbers(in_order(found, needed(found, BASE, None), BASE))[:5] == [3, 4, 10, 11, 20]

    def test_an_ordinary_day_takes_the_end_the_base_and_some_others(self) -> None:
        drawn: list[tuple[int, int]] = []

        def draw(names: Sequence[str], count: int) -> Sequence[str]:
            drawn.append((len(names), count))
            return names[:count]

        found = _numbers(sample(WHOLE, 12, draw))
        assert found == [20, 19, 18, 17, 16, 15, 14, 13, 3, 1, 2, 4]
        assert drawn == [(11, 3)]
        assert len(sample(WHOLE, 100, draw)) == 20
        assert sample(archive(files={}), 12, draw) == ()


class TestWhatWasFound:
    def test_a_page_is_held_against_what_it_has_to_be(self) -> None:
        pages = {name: FirstPage.parse(first_page(name)) for name in map(_name, (5, 6))}
        found = with_pages(
            replace(WHOLE, read={}), {**pages, _name(7): "it is broken", _name(8): FORBIDDEN, _name(9): None}
        )
        assert set(found.read) == {_name(5), _name(6), _name(7), _name(9)}
        assert list(found.damaged) == [_name(7), _name(9)]
        assert found.unasked == {_name(8): FORBIDDEN}

    def test_the_first_segment_of_a_timeline_may_begin_with_the_older_one(self) -> None:
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2)}
        found = archive(BASE, files=files, histories={2: (switch(1, 5.5),)}, read={})
        pages = {_name(number, 2): FirstPage.parse(first_page(_name(number, 2), tli=1)) for number in (5, 6)}
        assert list(with_pages(found, pages).damaged) == [_name(6, 2)]

    def test_a_damaged_segment_ends_the_window_as_a_missing_one(self) -> None:
        found = archive(BASE, backup(15), files=WHOLE.files, damaged={_name(9): CUT})
        first, second = windows(found)
        assert (first.end.segment, second.end.segment) == (_name(8), _name(20))
        (hole,) = holes(found)
        assert (hole.first, hole.count, hole.damaged) == (_name(9), 1, {_name(9): CUT})
        assert (hole.needed, hole.resumes) == (True, backup(15))

    def test_the_newest_segment_that_is_damaged_is_a_hole_too(self) -> None:
        found = archive(BASE, files=WHOLE.files, damaged={_name(20): CUT})
        (hole,) = holes(found)
        assert (hole.first, hole.last, hole.after, hole.needed) == (_name(20), _name(20), None, True)
        assert windows(found)[0].end.segment == _name(19)

    def test_a_base_backup_whose_own_wal_is_damaged_is_of_no_use(self) -> None:
        assert unusable(archive(BASE, files=WHOLE.files, damaged={_name(4): CUT})) == (BASE,)

    def test_the_older_timelines_copy_does_not_stand_in_for_a_damaged_one(self) -> None:
        files = {**wal(range(1, 6)), **wal(range(5, 9), timeline=2)}
        found = archive(BASE, files=files, histories={2: (switch(1, 5.5),)}, damaged={_name(5, 2): CUT})
        (window,) = (window for window in windows(found) if window.by_default)
        assert (window.timeline, window.end.segment) == (2, _name(4))
        assert [hole.first for hole in holes(found)] == [_name(5, 2)]


class TestWhatARecoveryIsTold:
    @pytest.mark.parametrize("number", [9, 20])
    def test_the_end_of_the_wal_is_refused_and_the_segment_named(self, number: int) -> None:
        (problem,) = _problems(archive(BASE, files=WHOLE.files, damaged={_name(number): CUT}))
        assert problem.code == "wal-unreadable"
        assert f"WAL segment {_name(number)} cannot be replayed: {CUT}" in problem.cause
        assert f"what was committed after {TimeTarget(at(10 * number - 10))} would not be in it" in problem.cause

    def test_who_insists_gets_what_comes_before_it_and_is_promised_no_more(self) -> None:
        found = archive(BASE, files=WHOLE.files, damaged={_name(9): CUT})
        decision = a_decision(_situation(found), target=None, insists=True)
        assert decision.broken_off
        assert decision.promise is not None
        assert decision.promise.lsn < 9 * SEGMENT
        assert not a_decision(_situation(WHOLE), target=None, insists=True).broken_off

    def test_who_insists_is_warned(self) -> None:
        found = archive(BASE, files=WHOLE.files, damaged={_name(9): CUT})
        assert _problems(found, insists=True) == []
        (warning,) = _warnings(found)
        assert warning.startswith(f"WAL segment {_name(9)} cannot be replayed: {CUT}: the recovery will end there")

    def test_a_target_behind_it_is_refused_at_once_and_one_before_is_not(self) -> None:
        found = archive(BASE, files=WHOLE.files, damaged={_name(9): CUT})
        assert [problem.code for problem in _problems(found, TimeTarget(at(100)), insists=True)] == ["wal-unreadable"]
        assert _problems(found, TimeTarget(at(60))) == []

    def test_several_that_are_missing_or_damaged_are_one_hole(self) -> None:
        files = wal({*range(1, 21)} - {8, 10})
        (problem,) = _problems(archive(BASE, files=files, damaged={_name(9): CUT}))
        assert (
            f"3 WAL segments, {_name(8)} to {_name(10)}, are missing in the archive or cannot be replayed "
            f"({_name(9)}: {CUT})"
        ) in problem.cause

    def test_wal_that_may_not_be_read_is_refused_by_its_own_words(self) -> None:
        found = replace(WHOLE, read={}, unasked={_name(9): FORBIDDEN})
        (problem,) = _problems(found)
        assert (problem.code, problem.remedy) == ("bucket-forbidden", "log in")
        assert f"(1 WAL segment, such as {_name(9)}): it does not let this user in" in problem.cause
        # AND not where it is not needed
        assert _problems(found, TimeTarget(at(60))) == []

    def test_what_was_not_looked_into_is_said_and_never_as_fine(self) -> None:
        found = replace(WHOLE, read=dict.fromkeys(map(_name, range(11, 21)), ""))
        assert _problems(found) == []
        (warning,) = _warnings(found)
        assert warning == (
            "Of 18 WAL segments that will be replayed, 8 were not looked into (there was no time): whether they can be "
            "read is not known."
        )
        silent = replace(found, unasked={_name(3): Problem(code="bucket-unreachable", cause="503", remedy="")})
        assert "8 were not looked into (503)" in _warnings(silent)[0]
        assert _warnings(WHOLE) == []


def test_a_recovery_that_is_under_way_is_not_asked_again() -> None:
    """What it begins from and what it reads was agreed to when it began."""
    found = archive(BASE, files=WHOLE.files, damaged={_name(9): CUT})
    recovered = replace(as_seen(a_recovered()), annotations={TARGET_ANNOTATION: "latest"})
    going_on = replace(_situation(found), recovered=recovered)
    assert [*preconditions(an_environment(), a_request(target=None, go_on=True), going_on)] == []
    failed = replace(going_on, recovered_gave_up=True)
    again = preconditions(an_environment(), a_request(target=None, go_on=True), failed)
    assert [problem.code for problem in again] == ["wal-unreadable"]


class TestABaseBackupWithoutItsWal:
    """O6: ``window`` and ``pitr`` judge alike."""

    @pytest.mark.parametrize("target", [None, TimeTarget(at(200))], ids=str)
    @pytest.mark.parametrize("alive", [True, False])
    def test_it_is_refused(self, target: RecoveryTarget | None, alive: bool) -> None:
        found = archive(BASE, files={})
        assert windows(found) == ()
        with pytest.raises(RefusedError) as refused:
            a_decision(_situation(found, alive=alive), target=target)
        assert [problem.code for problem in refused.value.problems] == ["wal-missing"]
        assert f"base backup backup-3 cannot be used: its own WAL, {_name(3)} to {_name(4)}" in refused.value.cause

    def test_what_the_source_has_just_written_may_be_on_its_way(self) -> None:
        """A base backup of a standby ends before the primary has archived the end of it."""
        found, soon = archive(BASE, files=wal(range(1, 4))), at(45)
        for coming, codes in ((True, []), (False, ["wal-missing"])):
            told = problems_of_wal(found, BASE, None, seen_at=soon, coming=coming)
            assert [problem.code for problem in told] == codes

    def test_what_is_damaged_of_it_is_named(self) -> None:
        (problem,) = _problems(archive(BASE, files=wal(range(3, 9)), damaged={_name(3): CUT}), coming=True)
        assert (problem.code, CUT in problem.cause) == ("wal-unreadable", True)

    def test_a_base_backup_that_the_newest_timeline_does_not_come_by_is_told_with_the_way(self) -> None:
        files = {**wal(range(1, 9)), **wal(range(2, 6), timeline=2)}
        found = archive(BASE, files=files, histories={2: (switch(1, 2.5),)})
        (problem,) = _problems(found)
        assert (problem.code, problem.remedy) == ("backup-off-timeline", "with pitr: --timeline 1")
        assert _problems(found, TimeTarget(at(60), timeline=1)) == []
