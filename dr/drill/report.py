"""What came of a drill, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.archive.promise import is_compared
from dr.core.target import written
from dr.drill.plan import OPERATION, DrillDecision
from dr.reports.document import DataLoss, FindingLine, RecoveryTime
from dr.reports.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class DrillReport(RunSummary):
    """A drill of which nothing failed. Times are aware UTC, durations in seconds; ``kept_in_cluster`` says that its
    report is in the environment's cluster too.
    """

    decision: DrillDecision
    findings: tuple[FindingLine, ...]
    rto: RecoveryTime | None
    rpo: DataLoss | None

    @property
    def compared(self) -> bool:
        """Whether it is known that the recovery came as far as it had to."""
        return is_compared((finding.name, finding.passed) for finding in self.findings)

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        decision = self.decision
        return {
            "operation": OPERATION,
            "environment": self.environment.name,
            "result": "passed" if self.compared else "not compared",
            "target": written(decision.request.target),
            "source": decision.source.name,
            "scratch": decision.scratch_name,
            "baseBackup": decision.base.backup_id,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "rto": self.rto.model_dump(mode="json", by_alias=True) if self.rto else None,
            "rpo": self.rpo.model_dump(mode="json", by_alias=True) if self.rpo else None,
            "steps": self.steps_as_json(),
            "verification": [finding.model_dump(mode="json", by_alias=True) for finding in self.findings],
            "journal": self.journal,
        }
