"""How long an operation will take: by what its steps took before, and by experience where they were never done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dr.core.history import OperationEntry

UNCHANGED = "nothing to do"
"""How a step's fact begins that found its work done: its time says nothing of how long the work takes."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What each step of a plan is expected to take; ``measured`` are those that were timed before."""

    seconds: Mapping[str, float]
    measured: frozenset[str]

    def left_after(self, done: Iterable[str]) -> timedelta:
        """What is left when the steps ``done`` are."""
        finished = set(done)
        return timedelta(seconds=sum(took for key, took in self.seconds.items() if key not in finished))

    @property
    def total(self) -> timedelta:
        """The whole of it."""
        return self.left_after(())


def estimate(steps: Sequence[str], history: Iterable[OperationEntry], *, experience: Mapping[str, float]) -> Estimate:
    """The estimate for ``steps``: the longest that each took in ``history``, else what ``experience`` says, in seconds.

    The longest, as who waits is better off surprised by an early end.
    """
    measured: dict[str, float] = {}
    for entry in history:
        for step in entry.steps:
            if step.ended and not step.fact.startswith(UNCHANGED):
                took = (step.ended - step.started).total_seconds()
                measured[step.key] = max(took, measured.get(step.key, 0.0))
    return Estimate(
        seconds={key: measured.get(key, experience.get(key, 0.0)) for key in steps},
        measured=frozenset(steps) & frozenset(measured),
    )
