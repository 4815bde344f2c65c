"""Making the recovered Cluster the canonical one: Git, what depends on it, the old Cluster's end, Argo CD's return."""

from collections.abc import Iterator

from dr.core.plan import Step
from dr.finalize.observe import observe_finalization
from dr.finalize.plan import FinalizeDecision, decide_finalization
from dr.finalize.preconditions import FinalizeRequest
from dr.finalize.report import FinalizeReport
from dr.finalize.steps import (
    BackUp,
    CarryOver,
    CarryOverLate,
    Close,
    DeleteOld,
    Finalizing,
    HandOver,
    Propose,
    Prove,
    PutBack,
    ReleaseArgoCd,
)
from dr.reports.summary import RunSummary
from dr.run.operation import OperationContext, run_operation
from dr.run.record import Record
from dr.run.session import Session


def decide(session: Session, request: FinalizeRequest) -> FinalizeDecision:
    """Look, and decide. Changes nothing, but has Argo CD compare with Git again. Raises RefusedError, RequestError or
    AccessError.
    """
    return decide_finalization(session.environment, request, observe_finalization(session, request))


class Finalize(Finalizing):
    """One finalize that was decided."""

    def steps(self) -> Iterator[Step]:
        """Nothing goes before what takes its place is proven. A proposal is the change to Git, and no more."""
        decision, git = self.decision, self.decision.git
        if not decision.backed_up and not decision.proposal:
            yield BackUp(self)
        if not decision.proposal:
            yield Prove(self)
        if git and git.rewriting.files:
            yield Propose(self, git)
        if decision.proposal:
            return
        if decision.retired or decision.carried:
            yield CarryOver(self)
        if decision.deleted:
            yield DeleteOld(self)
        if decision.put_back:
            yield PutBack(self)
        if decision.awaited:
            yield CarryOverLate(self)
        yield HandOver(self)
        if decision.managed:
            yield ReleaseArgoCd(self)
        yield Close(self)

    def run(self, context: OperationContext) -> FinalizeReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        self.context, self.session, decision = context, context.session, self.decision

        def report(summary: RunSummary) -> FinalizeReport:
            return FinalizeReport(
                decision=decision,
                **vars(summary),
            )

        def at_end(record: Record) -> Record:
            return record if decision.proposal else record.closed(decision.canonical.name)

        report_data = context.report_data
        report_data.kept.append(f"{decision.canonical.name}, the Cluster of {self.environment.name} from now on")
        if not decision.proposal:
            report_data.lost += [f"{cluster.name}, deleted with its volumes" for cluster in decision.deleted]
        report_data.versions |= context.stack.versions
        go_on = decision.request.command(self.environment)
        return run_operation(context, self.plan, go_on=go_on, report=report, at_end=at_end)
