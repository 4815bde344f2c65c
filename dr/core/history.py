"""What was done to an environment: its operations and their steps, as they are kept in the environment's own cluster.

Any operator's next command reads it: where things stand, how to go on, how to go back.
"""

from collections.abc import Mapping
from datetime import datetime
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
