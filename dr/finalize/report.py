"""What came of a finalize, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.core.commands import command_line
from dr.finalize.plan import FinalizeDecision
from dr.finalize.preconditions import OPERATION
from dr.reports.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class FinalizeReport(RunSummary):
    """A finished finalize, or its first half: the change to Git. Times are aware UTC, durations in seconds."""

    decision: FinalizeDecision

    @property
    def next_commands(self) -> list[str]:
        """What is left to do: after the first half, to have the change merged, and the same command again."""
        decision, git = self.decision, self.decision.git
        if not decision.proposal or git is None:
            return []
        push = [] if decision.request.push else [command_line("git", "-C", git.root, "push", "origin", git.branch)]
        return [*push, decision.request.command(self.environment)]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        decision, git = self.decision, self.decision.git
        return {
            "operation": OPERATION,
            "environment": self.environment.name,
            "result": "proposed" if decision.proposal else "finalized",
            "cluster": decision.canonical.name,
            "deleted": [] if decision.proposal else [cluster.name for cluster in decision.deleted],
            "branch": git.branch if git and git.rewriting.files else None,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "steps": self.steps_as_json(),
            "next": self.next_commands,
            "journal": self.journal,
        }
