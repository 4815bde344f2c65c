"""Extraction: one table as it was at a moment, out of a scratch Cluster, into the live database.

Nothing of what others use is touched until the table gets its place, in one short transaction. What an earlier run has
left is found and continued: the scratch Cluster by its label, what was prepared there by a comment, what was loaded
by the oid that the table keeps.
"""

from collections.abc import Iterator

from dr.core.plan import Step
from dr.extract.observe import observe_extraction
from dr.extract.plan import ExtractDecision, decide_extraction
from dr.extract.preconditions import ExtractRequest
from dr.extract.report import ExtractReport
from dr.extract.steps import (
    Extraction,
    Find,
    GiveName,
    Load,
    PutBack,
    Recover,
    SealWal,
    SwapIn,
    Validate,
    Verify,
)
from dr.recovery.scratch import RemoveScratch
from dr.reports.summary import RunSummary
from dr.run.operation import OperationContext, run_operation
from dr.run.session import Session


def decide(session: Session, request: ExtractRequest) -> ExtractDecision:
    """Look, and decide. Changes nothing. Raises RequestError, RefusedError or AccessError."""
    return decide_extraction(session.environment, request, observe_extraction(session, request))


class Extract(Extraction):
    """One extraction that was decided."""

    def steps(self) -> Iterator[Step]:
        """Nothing of what others use is touched until the table gets its place."""
        decision, request = self.decision, self.request
        if not decision.placed:
            if decision.seals:
                yield SealWal(self)
            yield Recover(self)
            yield Find(self)
            yield Load(self)
            yield Verify(self)
            yield SwapIn(self) if request.swap else GiveName(self)
        if request.swap:
            yield Validate(self)
        yield PutBack(self) if request.keep_scratch else RemoveScratch(self, decision.scratch_name)

    def run(self, context: OperationContext) -> ExtractReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came."""
        self.begin(context)
        decision = self.decision

        def report(summary: RunSummary) -> ExtractReport:
            return ExtractReport(
                decision=decision,
                extracted=self.done,
                **vars(summary),
            )

        context.report_data.start(decision.base, decision.source, until=GiveName.key)
        go_on = self.request.command(self.environment)
        return run_operation(context, self.plan, go_on=go_on, report=report)
