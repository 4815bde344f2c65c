"""What was done to an environment, by whom, and how long the same steps will take the next time.

Any operator's next command reads it: the state, how to continue, how to go back.

The same question is asked of two locks: the lease that keeps operators apart, and the one that Pulumi's engine keeps on
its state. Neither ends with its process.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

KEPT = 20
"""How many operations are kept; the local journal keeps all."""


class Outcome(StrEnum):
    """How an operation stands. RUNNING is also what a killed one leaves behind."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class StepEntry(BaseModel):
    """One step that began. ``ended`` is None until it is done; ``fact`` is what it found or did."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    started: datetime
    ended: datetime | None = None
    fact: str = ""


class OperationEntry(BaseModel):
    """One operation. ``go_on`` is the command that continues it; ``facts`` are those of its plan, as they were agreed
    to; ``cause`` says why it stopped.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    operation: str
    user: str
    go_on: str
    facts: Mapping[str, str] = {}
    started: datetime
    ended: datetime | None = None
    outcome: Outcome = Outcome.RUNNING
    cause: str = ""
    steps: tuple[StepEntry, ...] = ()

    def step_started(self, key: str, at: datetime) -> "OperationEntry":
        """The entry with one more step under way."""
        return self.model_copy(update={"steps": (*self.steps, StepEntry(key=key, started=at))})

    def step_done(self, fact: str, at: datetime) -> "OperationEntry":
        """The entry with its last step done."""
        last = self.steps[-1].model_copy(update={"ended": at, "fact": fact})
        return self.model_copy(update={"steps": (*self.steps[:-1], last)})

    def over(self, outcome: Outcome, at: datetime, cause: str = "") -> "OperationEntry":
        """The entry with its end."""
        return self.model_copy(update={"outcome": outcome, "ended": at, "cause": cause})

    @property
    def done(self) -> tuple[str, ...]:
        """The keys of the steps that were done."""
        return tuple(step.key for step in self.steps if step.ended)

    def as_json(self) -> dict[str, Any]:
        """The entry as plain values."""
        found: dict[str, Any] = self.model_dump(mode="json")
        return found


def with_entry(history: tuple[OperationEntry, ...], entry: OperationEntry) -> tuple[OperationEntry, ...]:
    """The history with ``entry``, in place of an earlier state of the same operation; the newest last."""
    others = tuple(other for other in history if other.id != entry.id)
    return (*others, entry)[-KEPT:]


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One process of one person on one machine."""

    user: str
    host: str
    pid: int

    def __str__(self) -> str:
        """The form that is written into a lease."""
        return f"{self.user}@{self.host}:{self.pid}"

    @property
    def operator(self) -> str:
        """The person and the machine."""
        return f"{self.user}@{self.host}"

    @classmethod
    def parse(cls, text: str) -> "Holder | None":
        """The holder that ``text`` names, or None when it is of another form."""
        found = re.fullmatch(r"(.+)@([^@:]+):(\d+)", text)
        return cls(user=found[1], host=found[2], pid=int(found[3])) if found else None


@dataclass(frozen=True, kw_only=True)
class LeaseSeen:
    """A lease as it was read. ``acquired`` and ``renewed`` are aware UTC; ``version`` is the object's, to replace just
    this one.
    """

    holder: str
    acquired: datetime | None
    renewed: datetime | None
    duration: timedelta
    version: str

    def expired(self, now: datetime) -> bool:
        """Whether it was not renewed in time. By the clocks of two machines: a hint, no proof."""
        return not self.holder or self.renewed is None or now > self.renewed + self.duration


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
