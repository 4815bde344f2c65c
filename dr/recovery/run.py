"""Point-in-time recovery: a new Cluster next to the broken one, with the data as it was at the target.

The source is never touched, but for one harmless commit that seals its WAL. Traffic is not moved here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dr.before_drop.search import find_drop
from dr.cnpg import clusters as cnpg
from dr.cnpg.cluster import cluster_behind
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.config.environment import Rule
from dr.core.plan import Step
from dr.core.target import AUTO, RecoveryTarget
from dr.gitops.steps import pause_where_needed
from dr.kube import workloads
from dr.postgres.table_name import TableName
from dr.recovery.observe import observe, read_manifest
from dr.recovery.plan import RecoveryDecision, decide_recovery
from dr.recovery.report import RecoveryReport
from dr.recovery.situation import RecoveryRequest
from dr.recovery.steps import ClearAway, KeepPassword, Recover, Recovering, SaveState, SealWal, Verify, WaitForPulumi
from dr.recovery.wait import RecoveryWait
from dr.reports.summary import RunSummary
from dr.run.operation import OperationContext, run_operation
from dr.run.record import recovered_name, source_of
from dr.run.session import Session
from dr.traffic.steps import stop_writers, suspend_where_needed
from dr.traffic.writer_model import scale_commands


@dataclass(frozen=True, kw_only=True)
class RecoveryOptions:
    """What was asked for, with None where the lineage decides. ``source_manifest`` is a file with the manifest of a
    source that is gone; ``before_drop`` is a table whose drop gives the target, ``expects`` one that has to be there
    afterwards; ``switchover`` says that the traffic is to be moved afterwards; ``snapshot`` is as given; ``insists``
    says that it was agreed to with the end that the archive has.
    """

    target: RecoveryTarget | None
    source: str | None = None
    recovered_name: str | None = None
    go_on: bool = False
    seal: bool = True
    switchover: bool = False
    snapshot: str = AUTO
    source_manifest: str | None = None
    expects: TableName | None = None
    before_drop: TableName | None = None
    insists: bool = False


def decide(session: Session, wanted: RecoveryOptions) -> RecoveryDecision:
    """Look, and decide. Changes nothing. Raises RequestError, RefusedError or AccessError."""
    request = _request(session, wanted)
    if wanted.before_drop is not None:
        drop = find_drop(session, request.source, wanted.before_drop)
        request = replace(request, target=drop.target, drop=drop, expects=drop.called or wanted.before_drop)
    return decide_recovery(session.environment, request, observe(session, request))


def _request(session: Session, wanted: RecoveryOptions) -> RecoveryRequest:
    """What was asked for, with the source and the name that the lineage gives."""
    environment, api, record = session.environment, session.api, session.records.read()
    external_name = workloads.external_name(api, environment.namespace, environment.service)
    serving = cluster_behind(external_name or "", environment.namespace)
    source = wanted.source or source_of(environment, serving=serving, record=record)
    taken = {cluster.name for cluster in cnpg.list_clusters(api, environment.namespace)}
    name = wanted.recovered_name or recovered_name(environment, source=source, taken=taken)
    return RecoveryRequest(
        target=wanted.target,
        source=source,
        recovered_name=name,
        insists=wanted.insists
        or any(one.covers(Rule.TARGET_OUTSIDE, name, now=session.clock()) for one in session.overrides),
        go_on=wanted.go_on,
        seal=wanted.seal,
        switchover=wanted.switchover,
        snapshot=wanted.snapshot,
        stand_in=read_manifest(wanted.source_manifest, name=source, namespace=environment.namespace)
        if wanted.source_manifest
        else None,
        expects=wanted.expects,
    )


class Recovery(Recovering):
    """One recovery that was decided."""

    def steps(self) -> Iterator[Step]:
        """Nobody writes any more when the source's WAL is sealed, so that all that was committed is in the archive."""
        decision = self.decision
        yield SaveState(self)
        yield from pause_where_needed(self, decision.argocd)
        yield from suspend_where_needed(self, decision.background_writers)
        undo = scale_commands(decision.environment, decision.workloads)
        yield from stop_writers(self, decision.workloads, decision.background_writers, undo=undo)
        if decision.seals:
            yield SealWal(self)
        yield KeepPassword(self)
        if decision.clears:
            yield ClearAway(self)
        yield Recover(self)
        yield Verify(self)
        yield WaitForPulumi(self)

    def run(self, context: OperationContext) -> RecoveryReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        self.context, self.session, decision = context, context.session, self.decision
        cluster = decision.cluster
        self.watch = RecoveryWatch(self.session.api, cluster.namespace, cluster.name, since=self.session.clock())
        self.wait = RecoveryWait(
            self.session,
            context.reporter,
            self.watch,
            what="the Cluster",
            at_limit="see what it waits for; timeouts.recoveryMinutes is the limit, --continue continues",
            report_data=context.report_data,
        )

        def report(summary: RunSummary) -> RecoveryReport:
            return RecoveryReport(
                decision=decision,
                cluster_seconds=self.cluster_seconds,
                findings=tuple((finding.name, finding.value, finding.passed) for finding in self.findings),
                **vars(summary),
            )

        context.report_data.start(decision.base, decision.source, until=Verify.key)
        with self.watch:
            go_on = decision.request.command(self.environment, go_on=True)
            return run_operation(context, self.plan, go_on=go_on, report=report)
