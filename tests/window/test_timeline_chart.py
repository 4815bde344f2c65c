"""The picture of an archive along time."""

import pytest

from dr.archive.contents import Archive, IncompleteBackup
from dr.archive.window import holes, windows
from dr.window.timeline_chart import picture
from tests.support.archives import archive, at, backup, switch, wal


def _drawn(found: Archive, width: int = 72) -> list[str]:
    return picture(found, windows(found), holes(found), width=width)


def test_a_window_is_drawn_from_its_first_backup_to_its_end() -> None:
    # GIVEN 61 columns for 60 segments, of which the first 20 lie before the base backup
    heading, row = _drawn(archive(backup(21), files=wal(range(1, 62))), width=73)
    assert heading == " " * 12 + "2026-04-20 00:10" + " " * 25 + "2026-04-20 10:10 UTC"
    assert row == "timeline 1  " + "─" * 20 + "●" + "━" * 39 + "▶"


def test_a_hole_is_drawn_as_such() -> None:
    found = archive(backup(1), backup(41), files=wal([*range(1, 21), *range(31, 62)]))
    _, row = _drawn(found, width=73)
    first, hole, rest = row[12:32], row[32:42], row[42:]
    assert first == "●" + "━" * 18 + "▶"
    assert hole == "!" * 10
    assert rest == "─" * 10 + "●" + "━" * 19 + "▶"


def test_each_timeline_has_a_row_and_its_part_of_the_window() -> None:
    files = {**wal(range(1, 31)), **wal(range(30, 62), timeline=2)}
    found = archive(backup(1), files=files, histories={2: (switch(1, 30.5),)})
    _, old, new = _drawn(found, width=73)
    assert "●━━━" in old
    assert new.endswith("━▶")
    assert new[12:40].strip() == ""


def test_a_failed_backup_is_marked() -> None:
    broken = IncompleteBackup(backup_id="x", why="FAILED", begin=at(310))
    _, row = _drawn(archive(files=wal(range(1, 62)), incomplete=(broken,)), width=73)
    assert row[12:] == "─" * 30 + "○" + "─" * 30


@pytest.mark.parametrize("width", [14, 20, 40, 80, 120, 300])
def test_no_line_is_wider_than_there_is_room(width: int) -> None:
    files = {**wal(range(1, 31)), **wal([*range(30, 40), *range(43, 62)], timeline=2)}
    found = archive(backup(1), backup(50, timeline=2), files=files, histories={2: (switch(1, 30.5),)})
    lines = _drawn(found, width)
    assert len(lines) == 3
    assert max(len(line) for line in lines) <= width


def test_nothing_is_drawn_where_there_is_nothing_or_no_time_is_known() -> None:
    assert _drawn(archive(files={})) == []
    assert _drawn(archive(files=dict.fromkeys(wal([1, 2])))) == []


def test_one_moment_is_enough_to_draw() -> None:
    assert len(_drawn(archive(files=wal([1])))) == 2
