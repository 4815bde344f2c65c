"""A drill: the recovery of a disaster, tried into a scratch Cluster, verified, measured and tidied up.

It is no part of the environment's history: it holds a lease of its own, writes no record, and gives way to whoever has
a real reason. What it leaves is its report. A scratch Cluster that it could not delete, as it was killed, is deleted by
the next drill.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event, Thread

from dr.archive.reader import failures_explained, list_server_names
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster
from dr.cnpg.fetch_ahead_program import remove_program
from dr.cnpg.instance import last_acknowledged, read_versions
from dr.cnpg.progress import RecoveryProgress, Stage
from dr.cnpg.scratches import check_unserved, delete_scratch
from dr.config.names import DRILL
from dr.core.errors import AccessError, DrError, InterruptedOperationError, RecoveryError, VerificationError
from dr.drill.examination import Examination
from dr.drill.observe import observe_drill, others_lease, renewed_since
from dr.drill.plan import DrillDecision, DrillRequest, decide_drill
from dr.drill.report import DrillReport
from dr.kube.workloads import external_name
from dr.postgres.psql import Psql
from dr.recovery.scratch import Scratch
from dr.recovery.verify import (
    Finding,
    loss_at_the_end,
    loss_by_target,
    lost_by_target,
    verify_database,
    verify_end,
    verify_last_commit,
)
from dr.reports.document import ReportDocument
from dr.reports.trend import Trend, trend_of
from dr.run.journal import Journal, unchanged
from dr.run.lease import held
from dr.run.report_keeping import Evidence, document_of, keep_report, read_reports
from dr.run.runner import Action, Reporter, StepResult, after_steps, run_actions
from dr.run.session import Session

_LOOK_SECONDS = 3.0


@dataclass
class Way:
    """``to`` is whom it was given to, empty while it is the drill's own."""

    to: str = ""


@contextmanager
def giving_way(session: Session) -> Iterator[Way]:
    """Within the context, ``session.stop`` is set as soon as somebody is at work."""
    way, over = Way(), Event()

    def look() -> None:
        before = None
        while not over.wait(_LOOK_SECONDS):
            # An API server that is away for a moment is no incident.
            with suppress(AccessError):
                seen = others_lease(session)
                if seen and (renewed_since(seen, before) or not seen.expired(session.clock())):
                    way.to = seen.holder
                    session.stop.set()
                    return
                before = seen

    looking = Thread(target=look, daemon=True, name="giving-way")
    looking.start()
    try:
        yield way
    finally:
        over.set()
        looking.join()


_GONE_SECONDS = 180
_ATTEMPTS = 2
"""After so many failed attempts a drill has found what it was for: CloudNativePG would go on for eleven minutes."""


def decide(session: Session, request: DrillRequest) -> DrillDecision:
    """Look, and decide. Changes nothing. Raises RefusedError or AccessError."""
    return decide_drill(session.environment, request, observe_drill(session, request))


@dataclass(kw_only=True)
class Drill:
    """One drill."""

    session: Session
    decision: DrillDecision
    journal: Journal
    reporter: Reporter
    evidence: Evidence

    def __post_init__(self) -> None:
        """Nothing is touched yet."""
        self._scratch = Scratch(
            self.session,
            self.reporter,
            self.evidence,
            self.decision.scratch,
            purpose=DRILL,
            fetching=self.decision.fetching,
        )
        self._seen: ClusterSnapshot | None = None
        self._acknowledged: datetime | None = None
        self._asked = False

    def run(self) -> DrillReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the scratch Cluster goes in any case.

        Raises RefusedError while another drill is under way, InterruptedOperationError ``gave-way``.
        """
        session, decision = self.session, self.decision
        self.evidence.begins_from(decision.base, decision.source, until="verify")
        started, begin = session.clock(), time.monotonic()
        # A drill that is not heard of any more may be a pod that was killed: nobody would take over from it by hand.
        with held(session.drill_lease, session.holder, take_over=True, clock=session.clock, stop=session.stop):
            self.journal.begin(decision.plan, decision.request.command(session.environment), session.clock())
            try:
                with giving_way(session) as way:
                    results = self._run_steps(way)
            except DrError as error:
                self._clear_up(error)
                self._keep(error=error)
                raise
            with after_steps(results, self.journal, decision.request.command(session.environment)):
                self.journal.done({}, session.clock(), at_end=unchanged)
                report = self._report(results, started, time.monotonic() - begin)
                self._keep(report=report)
                return report

    def _run_steps(self, way: Way) -> list[StepResult]:
        doing: dict[str, Callable[[], str]] = {
            "orphans": self._remove_orphans,
            "recover": self._recover,
            "verify": self._verify,
            "examine": self._examine,
            "remove-scratch": self._scratch.remove,
        }
        try:
            return run_actions(
                [Action(step=step, do=doing[step.key]) for step in self.decision.plan.steps],
                reporter=self.reporter,
                journal=self.journal,
                clock=self.session.clock,
                stop=self.session.stop,
                go_on=self.decision.request.command(self.session.environment),
            )
        except InterruptedOperationError as error:
            if not way.to:
                raise
            gave_way = InterruptedOperationError(
                "gave-way",
                f"{way.to} has begun an operation on {self.session.environment.name}: the drill gave way",
                "nothing of the drill is in their way; drill again when they are done",
            )
            gave_way.stopped = error.stopped
            raise gave_way from error

    def _remove_orphans(self) -> str:
        session, namespace = self.session, self.decision.source.namespace
        service = session.environment.service
        for name in self.decision.orphans:
            check_unserved(session.api, namespace, name, service)
            remove_program(session.api, namespace, name)
            delete_scratch(
                session.api,
                namespace,
                name,
                service=service,
                limit=_GONE_SECONDS,
                stop=session.stop,
                purpose=DRILL,
            )
        return f"{', '.join(self.decision.orphans)} gone"

    def _recover(self) -> str:
        begin = time.monotonic()
        self._seen = self._scratch.recover(self._look_while_it_recovers)
        self._ask_what_was_acknowledged()
        return f"healthy after {time.monotonic() - begin:.1f} s, {self._scratch.replayed} replayed"

    def _look_while_it_recovers(self, progress: RecoveryProgress) -> None:
        failure = progress.failure
        if failure is not None and len(progress.failed_pods) >= _ATTEMPTS:
            raise RecoveryError(failure.code, f"{failure.cause}, {_ATTEMPTS} times", failure.remedy)
        if progress.stage in {Stage.FINISHING, Stage.STARTING}:
            self._ask_what_was_acknowledged()

    def _ask_what_was_acknowledged(self) -> None:
        """Once, as soon as the WAL has come to its end: what the source has by then and the drill has not is lost."""
        if not self._asked:
            self._asked = True
            self._acknowledged = last_acknowledged(self.session.api, self.decision.source)

    def _verify(self) -> str:
        """What a recovery asks before traffic may come: with the answers its RTO ends. They are judged later, so that
        all is known of a drill that fails.
        """
        last, request = self._scratch.progress.last_commit, self.decision.request
        findings = [
            *verify_database(self._psql, self.session.environment),
            verify_end(self._psql, self.decision.promise, request.target),
            verify_last_commit(last, request.target),
        ]
        self._found(findings)
        if request.target is None:
            base_end = self.decision.base.end
            self.evidence.loss = loss_at_the_end(last, self._acknowledged, base_end=base_end)
        else:
            self.evidence.loss = loss_by_target(last, self.decision.later)
            self.evidence.lost += lost_by_target(request.target, self.decision.later)
        return ", ".join(f"{finding.name} {finding.value}" for finding in findings)

    def _examine(self) -> str:
        """Raises VerificationError ``drill-failed`` for all that did not pass, here or before."""
        decision, session = self.decision, self.session
        live = find_cluster(session.api, decision.source.namespace, decision.source.name)
        examination = Examination(
            session,
            scratch=self._scratch_seen,
            live=live if live and live.primary else None,
            database=decision.source.database,
            moment=self._moment,
            told=self.reporter.progress,
        )
        with suppress(AccessError):
            self.evidence.database_bytes = examination.size()
        self._found([*examination.findings(quick=decision.request.quick), self._untouched(live)])
        pod = self._scratch_seen.primary or ""
        self.evidence.versions |= read_versions(session.api, self._psql, namespace=decision.source.namespace, pod=pod)
        failed = [finding for finding in self.evidence.findings if finding.passed is False]
        if failed:
            raise VerificationError(
                "drill-failed",
                "the recovery worked, but " + "; ".join(f"{finding.name}: {finding.value}" for finding in failed),
                "a disaster today would lose this: find out why, take a new base backup, and drill again",
            )
        return f"{sum(finding.passed is True for finding in self.evidence.findings)} findings in order"

    def _untouched(self, live: ClusterSnapshot | None) -> Finding:
        """Whether the drill has kept to itself."""
        source, environment = self.decision.source, self.session.environment
        changed: list[str] = []
        if source.uid and (live is None or (live.uid, live.spec) != (source.uid, source.spec)):
            changed.append(f"the Cluster {source.name}")
        if external_name(self.session.api, environment.namespace, environment.service) != self.decision.external_name:
            changed.append(f"the Service {environment.service}")
        with failures_explained(environment.backup):
            if more := list_server_names(environment.backup) - self.decision.server_names:
                changed.append(f"the bucket has {', '.join(sorted(more))}")
        value = f"while the drill ran, something changed: {', '.join(changed)}" if changed else "yes"
        # Somebody else may have changed it: that is for a person to judge.
        return Finding(name="all else untouched", value=value, passed=None if changed else True)

    def _found(self, findings: list[Finding]) -> None:
        self.evidence.found_all((finding.name, finding.value, finding.passed) for finding in findings)

    @property
    def _moment(self) -> datetime:
        """Up to when the scratch Cluster has everything that was committed."""
        target, last = self.decision.request.target, self._scratch.progress.last_commit
        return (target.time if target else None) or last or self.decision.base.begin

    @property
    def _scratch_seen(self) -> ClusterSnapshot:
        assert self._seen is not None, "the scratch Cluster is recovered first"  # noqa: S101 - for the type checker
        return self._seen

    @property
    def _psql(self) -> Psql:
        seen = self._scratch_seen
        pod, database = seen.primary or f"{seen.name}-1", self.decision.source.database
        return Psql(self.session.api, namespace=seen.namespace, pod=pod, database=database)

    def _clear_up(self, error: DrError) -> None:
        """Delete the scratch Cluster, whatever has happened; also when told to stop."""
        self.reporter.progress("deleting the scratch Cluster")
        try:
            self.evidence.kept.append(self._scratch.remove(Event()))
        except AccessError as failure:
            self.journal.note("clean-up-failed", self.session.clock(), code=failure.code, cause=failure.cause)
            self.evidence.lost.append(
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
        self.evidence.kept.append(f"{self.decision.source.name} and its traffic as they are")
        document = keep_report(
            environment,
            self.decision.plan,
            self.journal,
            self.evidence,
            result=report.as_json() if report else None,
            error=error,
            trend=self._trend,
        )
        if document is None:
            return
        if error is not None and error.stopped and self.evidence.kept_at:
            error.stopped = replace(error.stopped, report=str(self.evidence.kept_at))
        try:
            self.session.drills.keep(document)
        except AccessError as failure:
            self.journal.note("report-not-in-cluster", self.session.clock(), code=failure.code, cause=failure.cause)

    def _trend(self, document: ReportDocument) -> Trend:
        """Over the drills that are known, and this one."""
        kept = read_reports(self.journal.path, lambda: self.session.drills)
        return trend_of([*kept.documents, document], goal=self.session.environment.goals.rto_minutes * 60)

    def _report(self, results: list[StepResult], started: datetime, seconds: float) -> DrillReport:
        environment, entry = self.session.environment, self.journal.entry
        assert entry is not None, "it has begun"  # noqa: S101 - for the type checker
        document = document_of(
            environment, self.decision.plan, entry, self.evidence, self.journal, result={}, error=None
        )
        return DrillReport(
            decision=self.decision,
            environment=environment,
            started=started,
            seconds=seconds,
            steps=tuple((result.step.key, result.seconds, result.fact) for result in results),
            findings=document.findings,
            rto=document.rto,
            rpo=document.rpo,
            journal=str(self.journal.path),
        )
