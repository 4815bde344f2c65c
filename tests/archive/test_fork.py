"""Where the histories of two databases part."""

import pytest

from dr.archive.contents import Switch
from dr.archive.fork import Fork, Lineage, Stretch, fork


def _on(*switches: tuple[int, int], current: int) -> Lineage:
    """A database that left these timelines at these positions, and is on ``current``."""
    return Lineage(history=tuple(Switch(parent=one, lsn=at, reason="") for one, at in switches), current=current)


SOURCE = _on(current=1)
RECOVERED = _on((1, 500), current=2)
RECOVERED_AGAIN = _on((1, 500), (2, 900), current=3)
OTHER = _on((1, 700), current=2)
FAILED_OVER = _on((1, 800), current=2)


@pytest.mark.parametrize(
    ("left", "other", "at"),
    [
        (SOURCE, RECOVERED, Fork(timeline=1, lsn=500)),
        (RECOVERED, SOURCE, Fork(timeline=1, lsn=500)),
        (SOURCE, RECOVERED_AGAIN, Fork(timeline=1, lsn=500)),
        (RECOVERED, RECOVERED_AGAIN, Fork(timeline=2, lsn=900)),
        (RECOVERED_AGAIN, RECOVERED, Fork(timeline=2, lsn=900)),
        (OTHER, RECOVERED, Fork(timeline=1, lsn=500)),
        (FAILED_OVER, RECOVERED, Fork(timeline=1, lsn=500)),
        (RECOVERED_AGAIN, OTHER, Fork(timeline=1, lsn=500)),
    ],
)
def test_it_is_the_last_position_that_both_have(left: Lineage, other: Lineage, at: Fork) -> None:
    """E8."""
    assert fork(left, other, related=True) == at


def test_two_recoveries_of_one_source_call_their_timelines_the_same() -> None:
    """E8: each has begun its own timeline 2, at one position, as the WAL was sealed there."""
    assert fork(RECOVERED, RECOVERED, related=False) == Fork(timeline=1, lsn=500)


def test_a_number_that_one_has_begun_and_the_other_has_left_may_be_two_timelines() -> None:
    """E8: not known to come from each other, so what was written on that timeline counts as its own."""
    assert fork(RECOVERED_AGAIN, RECOVERED, related=False) == Fork(timeline=1, lsn=500)


def test_two_that_write_on_one_timeline_do_not_part_where_it_says() -> None:
    assert fork(SOURCE, SOURCE, related=False) is None


def test_two_that_share_no_timeline_have_no_fork() -> None:
    assert fork(_on((3, 100), current=4), SOURCE, related=True) is None


def test_what_is_behind_the_fork_is_read_timeline_by_timeline() -> None:
    assert FAILED_OVER.from_position(1, 500) == (
        Stretch(timeline=1, begin=500, end=800),
        Stretch(timeline=2, begin=800, end=None),
    )
    assert RECOVERED.from_position(1, 500) == (Stretch(timeline=2, begin=500, end=None),)
    assert RECOVERED.from_position(7, 500) == ()
