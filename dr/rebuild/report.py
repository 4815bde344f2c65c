"""What came of a full rebuild, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from dr.core.history import Estimate
from dr.rebuild.data_origin import OriginVerdict
from dr.rebuild.plan import OPERATION, RebuildDecision
from dr.reports.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class RebuildReport(RunSummary):
    """A finished rebuild. ``started`` is aware UTC; ``seconds`` runs from the operator's yes to the end; ``origin`` is
    what the database that Git brought up was judged to be; ``serving`` is the Cluster that serves now;
    ``stack_file`` is where the file of a stack in another region was kept, for Git.
    """

    decision: RebuildDecision
    estimate: Estimate
    origin: OriginVerdict
    serving: str
    smoke: str
    stack_file: str = ""

    @property
    def to_write(self) -> list[str]:
        """What to write into the files so that the platform in another region is the environment's own."""
        if not self.stack_file:
            return []
        name = self.environment.name
        stack = PurePath(self.stack_file).stem.removeprefix("Pulumi.")
        lines = [
            f"copy {self.stack_file} next to Pulumi.{name}.yaml",
            f"Pulumi.{name}.yaml: infrastructure.platform: {stack}",
        ]
        if durable := self.decision.request.durable:
            lines.append(f"Pulumi.{name}.yaml: infrastructure.durable: {durable}")
            lines.append(f"Pulumi.{name}.yaml: backup.bucket: {self.environment.backup.bucket}")
        return lines

    @property
    def next_commands(self) -> list[str]:
        """What is left to do, ready to be pasted."""
        say = self.environment.commands
        if self.serving == self.environment.source_cluster:
            return [say.dr("status")]
        checkout = ["--checkout", "FOLDER"] if self.environment.git else []
        return [say.dr("status"), say.dr("finalize", *checkout)]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        return {
            "operation": OPERATION,
            "environment": self.environment.name,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 3),
            "expectedSeconds": round(self.estimate.total.total_seconds(), 3),
            "restoredFrom": self.decision.source.server_name,
            "origin": str(self.origin.origin),
            "evidence": list(self.origin.evidence),
            "serving": self.serving,
            "smokeTest": self.smoke,
            "steps": self.steps_as_json(3),
            "next": self.next_commands,
            "stackFile": self.stack_file or None,
            "toWrite": self.to_write,
            "journal": self.journal,
        }
