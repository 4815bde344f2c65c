"""Moving the traffic: the switchover to a recovered Cluster, and the rollback to where it came from."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster, list_clusters
from dr.cnpg.fencing import is_silent
from dr.cnpg.left_behind import left_behind
from dr.cnpg.recovered import SOURCE_ANNOTATION
from dr.core.errors import AccessError
from dr.core.plan import Step
from dr.gitops.argocd_pause import managers
from dr.gitops.steps import pause_where_needed
from dr.kube import workloads
from dr.reports.document import ReportDocument, ReportFiles
from dr.reports.summary import RunSummary
from dr.run.operation import OperationContext, run_operation
from dr.run.record import Record, recovered_last
from dr.run.session import Session
from dr.switchover.plan import MoveDecision, MoveRequest, TrafficSituation, decide_move
from dr.switchover.report import MoveReport
from dr.switchover.steps import (
    BackUp,
    Fence,
    Moving,
    Reach,
    ReleaseArgoCd,
    SaveState,
    SmokeTest,
    StartWorkloads,
    Switch,
    Unfence,
    Wake,
)
from dr.traffic.clients import other_clients
from dr.traffic.steps import ResumeBackgroundWriters, stop_writers, suspend_where_needed
from dr.traffic.writers import list_background_writers


def decide(session: Session, request: MoveRequest) -> MoveDecision:
    """Look, and decide. Changes nothing. Raises RefusedError or AccessError."""
    record = session.records.read() or Record(updated=session.clock(), updated_by=session.holder.operator)
    if not request.back and not request.to:
        request = replace(request, to=recovered_last(session.environment, record))
    return decide_move(session.environment, request, _observe(session, request, record))


def _observe(session: Session, request: MoveRequest, record: Record) -> TrafficSituation:
    environment, api = session.environment, session.api
    namespace, writers = environment.namespace, environment.workloads
    external_name, labels = workloads.name_and_labels(api, namespace, environment.service)
    pointed_to = cluster_behind(external_name or "", namespace)
    wanted = request.to
    if request.back:
        origin = record.came_from[-1] if record.came_from else external_name
        wanted = cluster_behind(origin or "", namespace) or environment.source_cluster
    old_cluster = find_cluster(api, namespace, pointed_to) if pointed_to else None
    new_cluster = find_cluster(api, namespace, wanted)
    if new_cluster is not None and not request.back and (old_cluster is None or old_cluster.name == new_cluster.name):
        old_cluster = _still_writable(session, new_cluster) or old_cluster
    clusters = {cluster.name for cluster in (old_cluster, new_cluster) if cluster}
    background_writers = list_background_writers(api, environment, clusters)
    now = {name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments}
    commits_left_behind, clients, silent = None, None, False
    if old_cluster is not None and new_cluster is not None and old_cluster.name != new_cluster.name:
        present = list_clusters(api, namespace)
        clients = other_clients(session, old_cluster, workloads=now.values(), held=background_writers)
        silent = is_silent(api, old_cluster)
        commits_left_behind = left_behind(
            api, old_cluster, new_cluster, present, first=record.verified.get(old_cluster.name)
        )
    return TrafficSituation(
        seen_at=session.clock(),
        external_name=external_name,
        old_cluster=old_cluster,
        new_cluster=new_cluster,
        workloads=now,
        service_labels=labels,
        record=record,
        argocd=managers(session, clusters=clusters, background_writers=background_writers),
        background_writers=background_writers,
        commits_left_behind=commits_left_behind,
        clients=clients,
        silent=silent,
    )


def _still_writable(session: Session, new_cluster: ClusterSnapshot) -> ClusterSnapshot | None:
    """The Cluster that ``new_cluster`` was recovered from, if it may still take writes: the Service was moved by other
    hands, or by a run that ended before its fence was seen.
    """
    name = new_cluster.annotations.get(SOURCE_ANNOTATION, "")
    source = find_cluster(session.api, new_cluster.namespace, name) if name else None
    return source if source is not None and not is_silent(session.api, source) else None


class Move(Moving):
    """One switchover or rollback that was decided. ``patience`` are the seconds that a first base backup may wait for
    another Cluster's before it is left to CloudNativePG; None where it has to be seen.
    """

    def steps(self) -> Iterator[Step]:
        """Nothing is written to the Cluster that is left before the Service points to the other one."""
        decision = self.decision
        yield SaveState(self)
        yield from pause_where_needed(self, decision.argocd)
        yield from suspend_where_needed(self, decision.held)
        poolers = decision.held if decision.fence else ()
        yield from stop_writers(self, decision.workloads, poolers, undo=self.way_back)
        if decision.fence:
            yield Fence(self)
        yield Unfence(self)
        if decision.quiet:
            yield Wake(self)
        yield Switch(self)
        yield Reach(self)
        yield StartWorkloads(self)
        if decision.released:
            yield ResumeBackgroundWriters(self, decision.released, serving=decision.new_cluster.name)
        if decision.request.back and decision.argocd:
            yield ReleaseArgoCd(self)
        if self.environment.smoke_test_url:
            yield SmokeTest(self)
        if not decision.request.back:
            yield BackUp(self)

    def run(self, context: OperationContext) -> MoveReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        self.context, self.session, decision = context, context.session, self.decision

        def report(summary: RunSummary) -> MoveReport:
            return MoveReport(
                decision=decision,
                smoke=self.smoke,
                **vars(summary),
            )

        def at_end(record: Record) -> Record:
            # Only now: a rollback that is resumed has to end where it was going.
            return record.came_back(decision.origin) if decision.request.back else record

        context.report_data.until = next((step.key for step in reversed(self.plan.steps) if step.key != BackUp.key), "")
        self._tell_of_data()
        go_on = decision.request.command(self.environment)
        return run_operation(context, self.plan, go_on=go_on, report=report, at_end=at_end)

    def _tell_of_data(self) -> None:
        """What the report has besides the steps."""
        report_data, decision = self.context.report_data, self.decision
        report_data.since = None if decision.request.back else self._recovery_report()
        if decision.fence is not None:
            report_data.kept.append(f"{decision.fence.name} with all that it has; it takes no more writes")
        report_data.versions |= self.context.stack.versions

    def _recovery_report(self) -> ReportDocument | None:
        """The report of the recovery that made the Cluster, as far as it is on this machine."""
        new_cluster, journal = self.decision.new_cluster, self.context.journal.path
        with suppress(AccessError):
            record = self.session.records.read()
            made = f"{new_cluster.namespace}/{new_cluster.name},"
            for entry in reversed(record.operations if record else ()):
                if entry.operation in {"pitr", "latest"} and entry.facts.get("Recovered", "").startswith(made):
                    return ReportFiles.beside(journal).read(entry.id)
        return None
