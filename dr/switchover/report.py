"""What came of a switchover or a rollback, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.reports.summary import RunSummary
from dr.switchover.plan import MoveDecision


@dataclass(frozen=True, kw_only=True)
class MoveReport(RunSummary):
    """A finished switchover or rollback. Times are aware UTC, durations in seconds; ``smoke`` is what the smoke test
    answered, empty where there is none.
    """

    decision: MoveDecision
    smoke: str

    @property
    def next_commands(self) -> list[str]:
        """What can be done from here: the way back, after a switchover."""
        if self.decision.request.back:
            return []
        return [self.environment.commands.dr("rollback")]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        decision = self.decision
        return {
            "operation": decision.request.operation,
            "environment": self.environment.name,
            "result": "moved",
            "cluster": decision.new_cluster.name,
            "externalName": decision.host,
            "before": decision.before,
            "fenced": decision.fence.name if decision.fence else None,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "steps": self.steps_as_json(),
            "smokeTest": self.smoke,
            "next": self.next_commands,
            "journal": self.journal,
        }
