"""A plan: what an operation will do, before it does any of it, as a list of steps.

The same objects are shown to the operator, printed as JSON, and run, so what is agreed to is what happens.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar


class Phase(StrEnum):
    """The phases, in the order in which they are shown. The values are those of the published report."""

    PREPARATION = "preparation"
    ENGINE = "engine"
    KUBERNETES = "kubernetes"
    BASE_BACKUP = "baseBackup"
    WAL_REPLAY = "walReplay"
    VERIFICATION = "verification"
    WAITING = "waiting"
    TRAFFIC = "traffic"
    CLEAN_UP = "cleanUp"
    OTHER = "other"


RECOVER = "recover"
"""The key of the step that waits for a Cluster to recover, in every operation that has one."""


@dataclass(frozen=True, kw_only=True)
class StepTaken:
    """A step that was begun, as it is known after a stop: its name, and the commands that take it back."""

    key: str
    title: str
    undo: tuple[str, ...] = ()


class Step(ABC):
    """One step of an operation: what is said of it, and how it is done. Each is a class of its own."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Its name in the journal and in JSON."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Its name for people."""

    @property
    @abstractmethod
    def phase(self) -> Phase:
        """What its time counts for in the report."""

    @property
    @abstractmethod
    def done_when(self) -> str:
        """How it is known to be done."""

    @abstractmethod
    def detail(self) -> str:
        """What it will do, in a sentence without a subject."""

    def undo(self) -> tuple[str, ...]:
        """How to take it back, in a form that can be pasted where there is a command for it."""
        return ()

    @abstractmethod
    def run(self) -> str:
        """Do it, and return in a few words what was done or found. Safe to repeat. Raises a DrError."""

    @property
    def taken(self) -> StepTaken:
        """What is kept of it where the operation stops."""
        return StepTaken(key=self.key, title=self.title, undo=self.undo())


Op = TypeVar("Op")


class StepOf(Step, Generic[Op]):
    """A step of the operation ``op``, which has what was decided, and what its steps share while they run."""

    def __init__(self, op: Op) -> None:
        self.op = op


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will happen, to what, and what to know before agreeing."""

    operation: str
    environment: str
    facts: Mapping[str, str]
    """What the operator should recognise before saying yes: places, target, base backup, names. In display order."""
    steps: tuple[Step, ...]
    warnings: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "operation": self.operation,
            "environment": self.environment,
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
            "steps": [
                {
                    "key": step.key,
                    "title": step.title,
                    "detail": step.detail(),
                    "doneWhen": step.done_when,
                    "undo": list(step.undo()),
                }
                for step in self.steps
            ],
        }
