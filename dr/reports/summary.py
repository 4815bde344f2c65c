"""How an operation went: what the reports of all operations have in common."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr.config.environment import Environment


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """How an operation went. ``started`` is aware UTC; ``seconds`` runs from the operator's yes to the end; ``steps``
    has each step's key, its seconds, and what it did or found; ``journal`` is the file.
    """

    environment: Environment
    started: datetime
    seconds: float
    steps: tuple[tuple[str, float, str], ...]
    journal: str

    def steps_as_json(self, digits: int = 2) -> list[dict[str, Any]]:
        """The steps as plain values; ``digits`` of their seconds are kept."""
        return [{"key": key, "seconds": round(seconds, digits), "fact": fact} for key, seconds, fact in self.steps]
