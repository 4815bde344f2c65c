"""What came of a switchover or a rollback, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr.config.environment import Environment
from dr.switchover.plan import MoveDecision


@dataclass(frozen=True, kw_only=True)
class MoveReport:
    """A finished switchover or rollback. Times are aware UTC, durations in seconds; ``smoke`` is what the smoke test
    answered, empty where there is none.
    """

    decision: MoveDecision
    environment: Environment
    started: datetime
    seconds: float
    steps: tuple[tuple[str, float, str], ...]
    smoke: str
    journal: str

    @property
    def next_commands(self) -> list[str]:
        """What can be done from here: the way back, after a switchover."""
        if self.decision.request.back:
            return []
        return [f"python -m dr rollback --env {self.environment.name}"]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        decision = self.decision
        return {
            "operation": decision.request.operation,
            "environment": self.environment.name,
            "result": "moved",
            "cluster": decision.reached.name,
            "externalName": decision.host,
            "before": decision.before,
            "fenced": decision.fence.name if decision.fence else None,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "steps": [{"key": key, "seconds": round(seconds, 2), "fact": fact} for key, seconds, fact in self.steps],
            "smokeTest": self.smoke,
            "next": self.next_commands,
            "journal": self.journal,
        }
