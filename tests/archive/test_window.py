"""The recoverable window: both its ends, its holes, and the timelines it follows."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from dr.archive.contents import Archive, IncompleteBackup
from dr.archive.window import Window, holes, unusable, windows
from dr.core.wal_names import name_of
from tests.support.archives import SEGMENT, archive, at, backup, switch, wal


def _only(found: Archive) -> Window:
    (window,) = windows(found)
    return window


def _number(name: str) -> tuple[int, int]:
    return int(name[:8], 16), int(name[-2:], 16)


def test_a_window_goes_from_the_end_of_the_first_backup_to_the_last_archived_segment() -> None:
    # GIVEN segments 1 to 20, and base backups in 3 and 10
    window = _only(archive(backup(3), backup(10), files=wal(range(1, 21))))
    # THEN it begins where the first ended, and ends with segment 20
    assert window.start == at(30)
    assert (window.end.segment, window.end.archived) == ("000000010000000000000014", at(200))
    assert window.end.lsn == 21 * SEGMENT
    assert [one.backup_id for one in window.backups] == ["backup-3", "backup-10"]
    assert (window.timeline, window.by_default, window.options) == (1, True, "")


def test_the_time_of_the_last_commit_is_left_open() -> None:
    assert _only(archive(backup(3), files=wal(range(1, 9)))).end.last_commit is None


def test_a_backup_whose_own_wal_is_all_there_is_makes_a_window() -> None:
    window = _only(archive(backup(3, segments=2), files=wal([3, 4])))
    assert (window.start, window.end.archived) == (at(40), at(40))


@pytest.mark.parametrize("missing", [3, 4, 5], ids=["its first", "one in between", "its last"])
def test_a_backup_whose_own_wal_is_not_whole_is_of_no_use(missing: int) -> None:
    found = archive(backup(3, segments=3), files=wal({*range(1, 11)} - {missing}))
    assert windows(found) == ()
    assert [one.backup_id for one in unusable(found)] == ["backup-3"]


def test_without_wal_a_backup_is_of_no_use() -> None:
    found = archive(backup(3), files={})
    assert (windows(found), len(unusable(found))) == ((), 1)


def test_without_a_completed_backup_there_is_no_window_however_much_wal_there_is() -> None:
    # GIVEN a failed one
    broken = IncompleteBackup(backup_id="20260420T000000", why="FAILED: disk full", begin=at(20))
    found = archive(files=wal(range(1, 100)), incomplete=(broken,))
    # THEN it counts for nothing
    assert (windows(found), holes(found), unusable(found)) == ((), (), ())


def test_an_empty_archive_has_nothing() -> None:
    found = archive(files={})
    assert (windows(found), holes(found), found.stretches, found.timelines) == ((), (), (), ())


def test_wal_before_the_first_backup_does_not_widen_the_window() -> None:
    assert _only(archive(backup(30), files=wal(range(1, 41)))).start == at(300)


class TestHoles:
    def test_a_hole_ends_the_window_and_a_later_backup_begins_the_next(self) -> None:
        # GIVEN segments 8 to 10 missing, and base backups before and after
        found = archive(backup(3), backup(14), files=wal([*range(1, 8), *range(11, 21)]))
        # WHEN looking
        first, second = windows(found)
        (hole,) = holes(found)
        # THEN
        assert (first.start, first.end.archived) == (at(30), at(70))
        assert (second.start, second.end.archived) == (at(140), at(200))
        assert (_number(hole.first), _number(hole.last), hole.count) == ((1, 8), (1, 10), 3)
        assert (hole.before, hole.after) == (at(70), at(110))
        assert hole.needed
        assert hole.resumes == backup(14)

    def test_a_backup_that_began_before_the_hole_and_ended_after_it_does_not_resume(self) -> None:
        found = archive(backup(3), backup(7, segments=4), backup(15), files=wal([*range(1, 8), *range(9, 21)]))
        (hole,) = holes(found)
        assert hole.resumes == backup(15)
        assert [one.backup_id for one in unusable(found)] == ["backup-7"]

    def test_a_hole_after_which_no_backup_was_taken_ends_it_all(self) -> None:
        found = archive(backup(3), files=wal([*range(1, 8), *range(11, 21)]))
        (hole,) = holes(found)
        assert (hole.needed, hole.resumes) == (True, None)
        assert _only(found).end.archived == at(70)

    def test_a_hole_before_the_first_backup_is_needed_by_nobody(self) -> None:
        found = archive(backup(14), files=wal([*range(1, 8), *range(11, 21)]))
        (hole,) = holes(found)
        assert not hole.needed
        assert _only(found).end.archived == at(200)

    def test_every_hole_is_told(self) -> None:
        found = archive(backup(2), backup(6), backup(9), files=wal([1, 2, 3, 5, 6, 8, 9]))
        assert [_number(hole.first) for hole in holes(found)] == [(1, 4), (1, 7)]
        assert [window.start for window in windows(found)] == [at(20), at(60), at(90)]

    def test_only_whole_segments_fill_a_hole(self) -> None:
        # GIVEN a partial one and a backup label where 4 is missing
        names = {f"{name_of(1, 4, SEGMENT)}.partial": at(40), f"{name_of(1, 4, SEGMENT)}.00000028.backup": at(40)}
        found = archive(backup(2), files={**wal([1, 2, 3, 5]), **names})
        assert [hole.count for hole in holes(found)] == [1]

    def test_a_hole_may_lie_where_the_high_half_of_the_name_changes(self) -> None:
        # GIVEN segments 0xFE and 0xFF of the first 4 GiB missing, and the first of the next
        found = archive(backup(0xF0), files=wal([*range(0xF0, 0xFE), *range(0x101, 0x110)]))
        (hole,) = holes(found)
        assert (hole.first, hole.last) == ("0000000100000000000000FE", "000000010000000100000000")

    def test_without_missing_ones_names_go_on_across_it(self) -> None:
        assert holes(archive(backup(0xF0), files=wal(range(0xF0, 0x110)))) == ()


@pytest.mark.parametrize("size", [2**20, 16 * 2**20, 64 * 2**20, 2**30])
def test_the_segment_size_of_the_server_counts(size: int) -> None:
    # GIVEN a boundary of 4 GiB between the segments
    per_file = 2**32 // size
    found = archive(backup(per_file - 2, size=size), files=wal(range(per_file - 3, per_file + 3), size=size))
    window = _only(found)
    assert holes(found) == ()
    assert window.end.lsn == (per_file + 3) * size
    assert window.end.segment == f"00000001{1:08X}{2:08X}"


class TestTimelines:
    def test_a_failover_is_followed(self) -> None:
        # GIVEN a switch in the middle of segment 5, which the new timeline has whole and the old one as .partial
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2), f"{name_of(1, 5, SEGMENT)}.partial": at(50)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5.5),)})
        # THEN one window leads across it
        window = _only(found)
        assert (window.timeline, window.start, window.end.archived) == (2, at(20), at(80))
        assert (window.by_default, window.options) == (True, "")
        assert holes(found) == ()

    def test_backups_of_both_timelines_share_the_window(self) -> None:
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2)}
        found = archive(backup(2), backup(7, timeline=2), files=files, histories={2: (switch(1, 5.5),)})
        assert len(_only(found).backups) == 2

    def test_what_the_old_timeline_has_beyond_the_switch_is_a_window_of_its_own(self) -> None:
        # GIVEN a timeline 1 that went on to segment 9 after the switch in 5
        files = {**wal(range(1, 10)), **wal(range(5, 13), timeline=2)}
        old, new = windows(archive(backup(2), files=files, histories={2: (switch(1, 5.5),)}))
        # THEN it is reached only when asked for
        assert (old.timeline, old.by_default, old.options) == (1, False, "--timeline 1")
        assert old.end.archived == at(90)
        assert (new.timeline, new.by_default) == (2, True)

    def test_a_backup_that_the_newer_timeline_does_not_contain_is_not_in_its_window(self) -> None:
        # GIVEN a base backup on timeline 1 after the switch
        files = {**wal(range(1, 10)), **wal(range(5, 13), timeline=2)}
        found = archive(backup(2), backup(7), files=files, histories={2: (switch(1, 5.5),)})
        by_timeline = {window.timeline: window for window in windows(found)}
        assert [one.backup_id for one in by_timeline[2].backups] == ["backup-2"]
        assert [one.backup_id for one in by_timeline[1].backups] == ["backup-2", "backup-7"]

    def test_a_backup_that_was_running_at_the_switch_is_not_in_the_newer_window(self) -> None:
        files = {**wal(range(1, 7)), **wal(range(5, 9), timeline=2)}
        found = archive(backup(4, segments=3), files=files, histories={2: (switch(1, 5.5),)})
        assert [window.timeline for window in windows(found)] == [1]

    def test_three_timelines_in_a_row_are_one_window(self) -> None:
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2), **wal(range(9, 12), timeline=3)}
        histories = {2: (switch(1, 5.5),), 3: (switch(1, 5.5), switch(2, 9.5))}
        window = _only(archive(backup(2), files=files, histories=histories))
        assert (window.timeline, window.end.archived) == (3, at(110))

    def test_a_switch_at_the_beginning_of_a_segment_needs_nothing_of_it_from_the_old_timeline(self) -> None:
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5),)})
        assert (_only(found).timeline, holes(found)) == (2, ())

    def test_what_the_old_timeline_wrote_after_the_switch_fills_no_hole_of_the_new_one(self) -> None:
        # GIVEN 6 missing on timeline 2, while timeline 1 has one of its own
        files = {**wal(range(1, 10)), **wal([5, 7, 8], timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5.5),)})
        assert [_number(hole.first) for hole in holes(found)] == [(2, 6)]

    def test_a_switch_at_the_beginning_of_a_segment_takes_that_segment_from_the_new_timeline_only(self) -> None:
        files = {**wal(range(1, 6)), **wal(range(6, 9), timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5),)})
        assert [_number(hole.first) for hole in holes(found)] == [(2, 5)]

    def test_what_the_new_timeline_has_from_before_the_switch_fills_no_hole_of_the_old_one(self) -> None:
        files = {**wal([1, 2, 4]), **wal([3, 5, 6, 7], timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5.5),)})
        assert (1, 3) in [_number(hole.first) for hole in holes(found)]
        assert {window.end.archived for window in windows(found)} == {at(20)}

    def test_the_way_that_is_gone_by_default_is_told_even_where_another_contains_it(self) -> None:
        # GIVEN a timeline 3, to which PostgreSQL does not go as there is no history of 2
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=3)}
        found = archive(backup(2), files=files, histories={3: (switch(1, 5.5),)})
        assert [(window.timeline, window.by_default) for window in windows(found)] == [(1, True), (3, False)]

    def test_a_hole_is_needed_if_a_backup_of_any_timeline_needs_it(self) -> None:
        # GIVEN a base backup of timeline 1 that was running at the switch, and lacks 3
        files = {**wal({*range(1, 10)} - {3}), **wal(range(5, 9), timeline=2)}
        found = archive(backup(2, segments=6), files=files, histories={2: (switch(1, 5.5),)})
        (hole,) = holes(found)
        assert (_number(hole.first), hole.needed) == ((1, 3), True)

    def test_a_hole_at_the_switch_is_told_on_both_sides(self) -> None:
        # GIVEN 4 missing on timeline 1, and 5 and 6 on timeline 2
        files = {**wal(range(1, 4)), **wal(range(7, 9), timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5.5),)})
        assert [(_number(hole.first), _number(hole.last)) for hole in holes(found)] == [
            ((1, 4), (1, 4)),
            ((2, 5), (2, 6)),
        ]
        assert _only(found).end.archived == at(30)

    def test_a_promotion_before_the_first_segment_of_the_new_timeline_ends_at_the_old_one(self) -> None:
        found = archive(backup(2), files=wal(range(1, 5)), histories={2: (switch(1, 5.5),)})
        window = _only(found)
        assert (window.by_default, window.end.archived) == (True, at(40))

    def test_without_its_history_file_a_timeline_is_not_gone_to(self) -> None:
        # GIVEN segments of timeline 2, whose history is lost
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2)}
        window = _only(archive(backup(2), files=files))
        assert (window.timeline, window.by_default, window.end.archived) == (1, True, at(40))

    def test_a_backup_on_a_timeline_needs_no_history_of_it(self) -> None:
        # GIVEN a recovered cluster's own archive, without what was before
        window = _only(archive(backup(6, timeline=2), files=wal(range(5, 9), timeline=2)))
        assert (window.timeline, window.by_default) == (2, True)

    def test_the_archive_of_a_recovered_cluster_begins_on_its_own_timeline(self) -> None:
        # GIVEN its history, which tells of a timeline that lies in another archive
        files = wal(range(5, 9), timeline=2)
        found = archive(backup(6, timeline=2), files=files, histories={2: (switch(1, 5.5),)})
        assert (_only(found).start, holes(found)) == (at(60), ())

    def test_an_unreadable_history_is_still_gone_to_by_postgresql(self) -> None:
        # GIVEN a history file that is there and cannot be read
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2)}
        found = archive(backup(2), files=files, unreadable={2: "damaged"})
        # THEN what timeline 1 has is not promised without naming it
        window = _only(found)
        assert (window.timeline, window.by_default, window.options) == (1, False, "--timeline 1")

    def test_another_timeline_than_the_newest_wants_the_id_of_an_older_timelines_backup(self) -> None:
        # GIVEN two timelines that both left 1
        files = {**wal(range(1, 5)), **wal(range(5, 9), timeline=2), **wal(range(5, 7), timeline=3)}
        found = archive(backup(2), backup(3), files=files, histories={2: (switch(1, 5.5),), 3: (switch(1, 5.6),)})
        by_timeline = {window.timeline: window for window in windows(found)}
        assert by_timeline[3].by_default
        assert by_timeline[2].options == "--timeline 2 --backup-id backup-2"

    def test_the_newest_timeline_is_looked_for_without_leaving_one_out(self) -> None:
        # GIVEN the histories of 2 and 4
        found = archive(files={}, histories={2: (switch(1, 5),), 4: (switch(1, 5),)})
        assert [found.newest_timeline(start) for start in (1, 2, 3, 4)] == [2, 2, 4, 4]

    def test_a_hole_that_two_timelines_lead_across_is_told_once(self) -> None:
        files = {**wal([1, 2, 4, *range(5, 9)]), **wal(range(5, 9), timeline=2)}
        found = archive(backup(2), files=files, histories={2: (switch(1, 5.5),)})
        assert len(holes(found)) == 1


def test_where_the_store_tells_no_times_the_segments_still_count() -> None:
    found = archive(backup(3), files=dict.fromkeys(wal(range(1, 9))))
    window = _only(found)
    assert (window.end.archived, _number(window.end.segment)) == (None, (1, 8))


def _calls(work: Callable[[], None]) -> int:
    """How many functions ``work`` calls, whatever the machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_what_counting_takes_grows_with_the_segments_and_no_faster() -> None:
    def look(segments: int) -> None:
        # GIVEN that many segments with a hole, and a base backup in each 300th
        files = wal({*range(1, segments + 2)} - {segments // 2})
        found = archive(*(backup(number) for number in range(10, segments, 300)), files=files)
        # WHEN
        first, second = windows(found)
        (hole,) = holes(found)
        # THEN
        assert len(files) == segments
        assert first.end.archived == hole.before == at(5 * segments - 10)
        assert second.end.archived == at(10 * segments + 10)

    few, many = (_calls(partial(look, segments)) for segments in (1_000, 10_000))
    assert many < 12 * few


def test_a_backup_of_a_timeline_that_has_no_wal_is_of_no_use() -> None:
    found = archive(replace(backup(3), timeline=7, begin_wal=name_of(7, 3, SEGMENT)), files=wal(range(1, 9)))
    assert windows(found) == ()
