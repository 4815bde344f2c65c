"""What came of an extraction, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.extract.plan import ExtractDecision
from dr.extract.preconditions import OPERATION
from dr.reports.summary import RunSummary


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What was found and done on the way. ``rows`` and ``size`` (bytes, with indexes) are those of the target, None
    where an earlier run has done that part; ``compared`` tells what the comparison rests on; ``kept`` is what the
    former table is called now; ``left_out`` is what the table had and has not been given; ``faults`` is what could not
    be made again, each with why. Durations are in seconds.
    """

    rows: int | None = None
    size: int | None = None
    compared: str = ""
    kept: str = ""
    brought_back: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    recover_seconds: float = 0.0
    load_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ExtractReport(RunSummary):
    """A finished extraction. Times are aware UTC, durations in seconds."""

    decision: ExtractDecision
    extracted: Extracted

    @property
    def scratch_commands(self) -> list[str]:
        """For a scratch Cluster that is kept: how to look around in it, and how to delete it."""
        decision = self.decision
        if not decision.request.keep_scratch:
            return []
        kubectl, namespace = self.environment.commands.kubectl, self.environment.namespace
        name = decision.scratch_name
        psql = ("exec", "-it", f"{name}-1", "-c", "postgres", "--", "psql", "-d", decision.source.database)
        return [kubectl(*psql, namespace=namespace), kubectl("delete", "cluster", name, namespace=namespace)]

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        decision, done = self.decision, self.extracted
        return {
            "operation": OPERATION,
            "environment": self.environment.name,
            "result": "extracted",
            "table": str(decision.request.table),
            "target": decision.request.target.value,
            "cluster": decision.live.name,
            "recoveredTable": str(decision.request.final),
            "keptTable": done.kept or None,
            "rows": done.rows,
            "bytes": done.size,
            "compared": done.compared,
            "broughtBack": list(done.brought_back),
            "leftOut": list(done.left_out),
            "faults": list(done.faults),
            "scratch": decision.scratch_name if decision.request.keep_scratch else None,
            "scratchCommands": self.scratch_commands,
            "started": self.started.isoformat(),
            "seconds": round(self.seconds, 2),
            "recoverSeconds": round(done.recover_seconds, 2),
            "loadSeconds": round(done.load_seconds, 2),
            "steps": self.steps_as_json(),
            "journal": self.journal,
        }
