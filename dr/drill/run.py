"""A drill: the recovery of a disaster, tried into a scratch Cluster, verified, measured and tidied up.

It is not part of the environment's history: it holds a lease of its own, writes no record, and gives way to one who has
a real reason. What it leaves is its report. A scratch Cluster that it could not delete, as it was killed, is deleted by
the next drill.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event, Thread

from dr.core.errors import AccessError, DrError, InterruptedOperationError, StepFailedError
from dr.core.plan import Step
from dr.drill.observe import observe_drill, others_lease, renewed_since
from dr.drill.plan import DrillDecision, DrillRequest, decide_drill
from dr.drill.report import DrillReport
from dr.drill.steps import Examine, Recover, RemoveOrphans, Trial, Verify
from dr.recovery.scratch import RemoveScratch
from dr.reports.document import ReportDocument
from dr.reports.trend import Trend, trend_of
from dr.run.journal import Journal, unchanged
from dr.run.lease import held
from dr.run.report_keeping import ReportData, document_of, read_reports, save_report
from dr.run.runner import Reporter, after_steps, run_steps
from dr.run.session import Session

_LOOK_SECONDS = 3.0


@dataclass
class Preemption:
    """``by`` is who preempted the drill, empty while nobody has."""

    by: str = ""


@contextmanager
def preemptible(session: Session) -> Iterator[Preemption]:
    """Within the context, ``session.stop`` is set as soon as somebody is at work."""
    preemption, over = Preemption(), Event()

    def look() -> None:
        before = None
        while not over.wait(_LOOK_SECONDS):
            # An API server that is away for a moment is no incident.
            with suppress(AccessError):
                seen = others_lease(session)
                if seen and (renewed_since(seen, before) or not seen.expired(session.clock())):
                    preemption.by = seen.holder
                    session.stop.set()
                    return
                before = seen

    looking = Thread(target=look, daemon=True, name="giving-way")
    looking.start()
    try:
        yield preemption
    finally:
        over.set()
        looking.join()


def decide(session: Session, request: DrillRequest) -> DrillDecision:
    """Look, and decide. Changes nothing. Raises RefusedError or AccessError."""
    return decide_drill(session.environment, request, observe_drill(session, request))


class Drill(Trial):
    """One drill that was decided."""

    def steps(self) -> Iterator[Step]:
        """The scratch Cluster goes in any case, also where a step before that fails."""
        if self.decision.orphans:
            yield RemoveOrphans(self)
        yield Recover(self)
        yield Verify(self)
        yield Examine(self)
        yield RemoveScratch(self, self.decision.scratch_name)

    def run(self, *, session: Session, journal: Journal, reporter: Reporter, report_data: ReportData) -> DrillReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the scratch Cluster goes in any case.

        Raises RefusedError while another drill is under way, InterruptedOperationError ``gave-way``.
        """
        self.begin(session=session, journal=journal, reporter=reporter, report_data=report_data)
        decision = self.decision
        report_data.start(decision.base, decision.source, until=Verify.key)
        started, begin = session.clock(), time.monotonic()
        # A drill that is not heard of any more may be a pod that was killed: nobody would take over from it by hand.
        with held(session.drill_lease, session.holder, take_over=True, clock=session.clock, stop=session.stop):
            journal.begin(self.plan, decision.request.command(session.environment), session.clock())
            try:
                with preemptible(session) as preemption:
                    results = self._run_steps(preemption)
            except DrError as error:
                self._clear_up(error)
                self._keep(error=error)
                raise
            with after_steps(self.plan.steps, journal, decision.request.command(session.environment)):
                journal.done({}, session.clock(), at_end=unchanged)
                report = self._report(results, started, time.monotonic() - begin)
                self._keep(report=report)
                return report

    def _run_steps(self, preemption: Preemption) -> tuple[tuple[str, float, str], ...]:
        try:
            return run_steps(
                self.plan.steps,
                reporter=self.reporter,
                journal=self.journal,
                clock=self.session.clock,
                stop=self.session.stop,
                go_on=self.decision.request.command(self.session.environment),
            )
        except InterruptedOperationError as error:
            if not preemption.by:
                raise
            gave_way = InterruptedOperationError(
                "gave-way",
                f"{preemption.by} has started an operation on {self.session.environment.name}: the drill gave way",
                "nothing of the drill is in their way; drill again when they are done",
            )
            gave_way.stopped = error.stopped
            raise gave_way from error

    def _clear_up(self, error: DrError) -> None:
        """Delete the scratch Cluster, whatever has happened; also when stopped."""
        self.reporter.progress("deleting the scratch Cluster")
        try:
            self.report_data.kept.append(self.scratch.remove(Event()))
        except (AccessError, StepFailedError) as failure:
            self.journal.note("clean-up-failed", self.session.clock(), code=failure.code, cause=failure.cause)
            self.report_data.lost.append(
                f"room: the scratch Cluster {self.decision.scratch_name} could not be deleted ({failure.cause}); the "
                "next drill will"
            )
        else:
            if error.stopped:
                # It is taken back already.
                done = tuple(replace(step, undo=()) for step in error.stopped.done)
                error.stopped = replace(error.stopped, at=replace(error.stopped.at, undo=()), done=done)

    def _keep(self, *, report: DrillReport | None = None, error: DrError | None = None) -> None:
        """On this machine, and in the environment's cluster, where the next one looks whether it gets worse."""
        environment = self.session.environment
        self.report_data.kept.append(f"{self.decision.source.name} and its traffic as they are")
        document = save_report(
            environment,
            self.plan,
            self.journal,
            self.report_data,
            result=report.as_json() if report else None,
            error=error,
            trend=self._trend,
        )
        if document is None:
            return
        if error is not None and error.stopped and self.report_data.kept_at:
            error.stopped = replace(error.stopped, report=str(self.report_data.kept_at))
        try:
            self.session.drills.keep(document)
        except (AccessError, StepFailedError) as failure:
            self.journal.note("report-not-in-cluster", self.session.clock(), code=failure.code, cause=failure.cause)

    def _trend(self, document: ReportDocument) -> Trend:
        """Over the drills that are known, and this one."""
        kept = read_reports(self.journal.path, lambda: self.session.drills)
        return trend_of([*kept.documents, document], goal=self.session.environment.goals.rto_minutes * 60)

    def _report(self, results: tuple[tuple[str, float, str], ...], started: datetime, seconds: float) -> DrillReport:
        environment, entry = self.session.environment, self.journal.entry
        assert entry is not None, "it has started"  # noqa: S101 - for the type checker
        document = document_of(environment, self.plan, entry, self.report_data, self.journal, result={}, error=None)
        return DrillReport(
            decision=self.decision,
            environment=environment,
            started=started,
            seconds=seconds,
            steps=results,
            findings=document.findings,
            rto=document.rto,
            rpo=document.rpo,
            journal=str(self.journal.path),
        )
