"""A plan: what an operation will do, as data, before it does any of it.

The same object is shown to the operator, printed as JSON, and walked by the runner, so what is agreed to is what
happens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step, in the order of the plan.

    ``key`` is its name in the journal and in JSON; ``done_when`` is how it is known to be done; ``undo`` says how to
    take it back, in a form that can be pasted where there is a command for it.
    """

    key: str
    title: str
    detail: str
    done_when: str = ""
    undo: tuple[str, ...] = ()


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
                    "detail": step.detail,
                    "doneWhen": step.done_when,
                    "undo": list(step.undo),
                }
                for step in self.steps
            ],
        }
