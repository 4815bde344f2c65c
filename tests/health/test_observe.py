"""Looking at several things at once."""

from threading import Event

import pytest

from dr.core.errors import AccessError
from dr.health.check import Unavailable
from dr.health.observe import ConcurrentLookup
from tests.support.waiting import until


def test_what_is_seen_comes_back() -> None:
    assert ConcurrentLookup("the bucket", lambda: 7).result(until()) == 7
    assert ConcurrentLookup("the record", lambda: None).result(until()) is None


def test_what_cannot_be_seen_says_why() -> None:
    def fail() -> int:
        raise AccessError("forbidden", "not allowed", "ask for it")

    assert ConcurrentLookup("the bucket", fail).result(until()) == Unavailable(
        code="forbidden", why="not allowed", remedy="ask for it"
    )


def test_a_fault_is_not_hidden() -> None:
    look: ConcurrentLookup[float] = ConcurrentLookup("the bucket", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        look.result(until())


def test_what_does_not_answer_is_not_waited_for() -> None:
    # GIVEN what answers only once it is no longer waited for
    for_ever = Event()
    # WHEN
    seen = ConcurrentLookup("the bucket", for_ever.wait).result(until(0.05))
    # THEN
    for_ever.set()
    assert isinstance(seen, Unavailable)
    assert (seen.code, seen.why) == ("no-answer", "the bucket did not answer in time")
