"""What a health check comes to: a state, what was seen, and what helps. Pure.

The states and their numbers are those of the monitoring plugins (Nagios, Icinga), so that any monitoring can run
``dr health`` as it is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from dr.config.health import DownTo, Limits


class State(IntEnum):
    """The number is the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def word(self) -> str:
        """In lower case, as it stands in JSON."""
        return self.name.lower()


_SEVERITY = (State.OK, State.UNKNOWN, State.WARNING, State.CRITICAL)
"""From the least on. What is not known is less than what is known to be wrong."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding. ``values`` are measures by their names, whose last word is the unit; ``remedy`` is empty where there
    is nothing to do; ``acknowledged`` says why it does not count, empty when it does.
    """

    name: str
    state: State
    message: str
    remedy: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    acknowledged: str = ""

    @property
    def counts(self) -> bool:
        """Whether it makes the whole worse."""
        return self.state is not State.OK and not self.acknowledged


@dataclass(frozen=True, kw_only=True)
class Unavailable:
    """Something that could not be looked at. ``code``, ``why`` and ``remedy`` are an error's."""

    code: str
    why: str
    remedy: str

    def as_check(self, name: str) -> Check:
        """The check that needed it."""
        return Check(name=name, state=State.UNKNOWN, message=self.why, remedy=self.remedy)


def worst(states: Iterable[State]) -> State:
    """The one that the whole has; OK when there is none."""
    return max(states, key=_SEVERITY.index, default=State.OK)


def graded(value: float, limits: Limits) -> State:
    """The state of a measure."""
    sign = -1 if isinstance(limits, DownTo) else 1
    if sign * value >= sign * limits.critical:
        return State.CRITICAL
    return State.WARNING if sign * value >= sign * limits.warning else State.OK
