"""In which order, and in what pieces, archived WAL is gone back through."""

from dr.archive.contents import Archive
from dr.archive.wal_lines import Piece, first_missing, pieces_before
from dr.core.wal_names import name_of
from tests.support.archives import SEGMENT, archive, switch, wal


def _name(number: int, timeline: int = 1) -> str:
    return name_of(timeline, number, SEGMENT)


def _pieces(found: Archive, before: str, size: int = 2) -> list[tuple[tuple[str, ...], str]]:
    return [(piece.segments, piece.after) for piece in pieces_before(found, before, size=size)]


def test_the_newest_come_first_and_each_piece_in_order() -> None:
    found = archive(files=wal(range(3, 9)))
    assert _pieces(found, _name(8)) == [
        ((_name(6), _name(7)), _name(8)),
        ((_name(4), _name(5)), _name(6)),
        ((_name(3),), _name(4)),
    ]


def test_it_ends_at_a_hole() -> None:
    found = archive(files=wal([3, 4, 6, 7, 8]))
    assert _pieces(found, _name(8)) == [((_name(6), _name(7)), _name(8))]
    assert first_missing(found, _name(6)) == _name(5)


def test_across_a_switch_the_older_timeline_is_read_with_the_end_of_its_last_record_in_the_newer() -> None:
    # GIVEN timeline 2, which left 1 in the middle of segment 5
    found = archive(files=wal(range(3, 6)) | wal(range(5, 8), timeline=2), histories={2: (switch(1, 5.5),)})
    # WHEN
    pieces = list(pieces_before(found, _name(7, 2), size=4))
    # THEN the segment with the switch is read on timeline 2
    assert pieces == [
        Piece(segments=(_name(5, 2), _name(6, 2)), after=_name(7, 2), after_as=_name(7, 2), end=7 * SEGMENT),
        Piece(segments=(_name(3), _name(4)), after=_name(5, 2), after_as=_name(5), end=5 * SEGMENT),
    ]
    assert first_missing(found, _name(3)) == _name(2)


def test_before_the_very_first_segment_there_is_none() -> None:
    assert _pieces(archive(files=wal([0, 1])), _name(0)) == []
