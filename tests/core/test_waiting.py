from threading import Event

import pytest

from dr.core.errors import InterruptedOperationError
from dr.core.waiting import poll
from tests.support.doubles import Impatient


class _Clock:
    """A clock that moves only while somebody waits, by what is waited."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stop = Impatient(self._pass)

    def __call__(self) -> float:
        return self.now

    def _pass(self, before: int) -> None:
        self.now += self.stop.waited[before] or 0.0


def _poll(clock: _Clock, *, limit: float, stop: Event | None = None) -> list[float]:
    return list(poll(limit, stop=stop or clock.stop, what="it to end", every=4, clock=clock))


def test_it_looks_with_a_pause_between_until_the_limit_is_over() -> None:
    clock = _Clock()
    assert _poll(clock, limit=10) == [0, 4, 8, 12]
    assert clock.stop.waited == [4, 4, 4]


@pytest.mark.parametrize("limit", [0, -1])
def test_without_time_there_is_one_look(limit: float) -> None:
    clock = _Clock()
    first = next(poll(limit, stop=clock.stop, what="it to end", clock=clock))
    assert first == 0
    assert clock.stop.waited == []


def test_it_does_not_pause_after_the_last_look() -> None:
    clock = _Clock()
    assert _poll(clock, limit=-1) == [0]
    assert clock.stop.waited == []


def test_after_a_stop_it_does_not_look_at_all() -> None:
    stop = Event()
    stop.set()
    with pytest.raises(InterruptedOperationError, match="stopped while waiting for it to end") as stopped:
        _poll(_Clock(), limit=10, stop=stop)
    assert stopped.value.code == "interrupted"


def test_a_stop_in_the_pause_is_no_further_look_and_no_limit() -> None:
    stop, looks = Impatient(lambda _: stop.set()), list[float]()
    with pytest.raises(InterruptedOperationError):
        looks.extend(poll(0, stop=stop, what="it to end", clock=lambda: 0.0))
    assert stop.waited == [0.2]
