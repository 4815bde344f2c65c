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
from dr.reports.course import Course
from dr.reports.document import ReportDocument, ReportFiles
from dr.run.operation import Tools, run_operation
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
    Remember,
    SmokeTest,
    StartWorkloads,
    Switch,
    Unfence,
    Wake,
)
from dr.traffic.clients import other_clients
from dr.traffic.steps import LetGo, StopWriters, hold_where_needed
from dr.traffic.writers import list_self_starters


def decide(session: Session, request: MoveRequest) -> MoveDecision:
    """Look, and decide. Changes nothing. Raises RefusedError or AccessError."""
    record = session.records.read() or Record(updated=session.clock(), updated_by=session.holder.operator)
    if not request.back and not request.to:
        request = replace(request, to=recovered_last(session.environment, record))
    return decide_move(session.environment, request, _observe(session, request, record))


def _observe(session: Session, request: MoveRequest, record: Record) -> TrafficSituation:
    environment, api = session.environment, session.api
    namespace, writers = environment.namespace, environment.workloads
    external_name = workloads.external_name(api, namespace, environment.service)
    pointed_to = cluster_behind(external_name or "", namespace)
    wanted = request.to
    if request.back:
        origin = record.came_from[-1] if record.came_from else external_name
        wanted = cluster_behind(origin or "", namespace) or environment.source_cluster
    left = find_cluster(api, namespace, pointed_to) if pointed_to else None
    reached = find_cluster(api, namespace, wanted)
    if left is not None and reached is not None and left.name == reached.name and not request.back:
        left = _still_writable(session, reached) or left
    clusters = {cluster.name for cluster in (left, reached) if cluster}
    self_starters = list_self_starters(api, environment, clusters)
    now = {name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments}
    later, clients = None, None
    if left is not None and reached is not None and left.name != reached.name:
        present = list_clusters(api, namespace)
        clients = other_clients(session, left, workloads=now.values(), held=self_starters)
        later = left_behind(api, left, reached, present, first=record.verified.get(left.name))
    return TrafficSituation(
        seen_at=session.clock(),
        external_name=external_name,
        left=left,
        reached=reached,
        workloads=now,
        service_labels=workloads.service_labels(api, namespace, environment.service),
        record=record,
        argocd=managers(session, clusters=clusters, self_starters=self_starters),
        self_starters=self_starters,
        later=later,
        clients=clients,
    )


def _still_writable(session: Session, reached: ClusterSnapshot) -> ClusterSnapshot | None:
    """The Cluster that ``reached`` was recovered from, if it may still take writes: the Service was moved by other
    hands, or by a run that ended before its fence was seen.
    """
    name = reached.annotations.get(SOURCE_ANNOTATION, "")
    source = find_cluster(session.api, reached.namespace, name) if name else None
    return source if source is not None and not is_silent(session.api, source) else None


class Move(Moving):
    """One switchover or rollback that was decided. ``patience`` are the seconds that a first base backup may wait for
    another Cluster's before it is left to CloudNativePG; None where it has to be seen.
    """

    def steps(self) -> Iterator[Step]:
        """Nothing is written to the Cluster that is left before the Service points to the other one."""
        decision = self.decision
        yield Remember(self)
        yield from pause_where_needed(self, decision.argocd)
        yield from hold_where_needed(self, decision.held)
        yield StopWriters(self, decision.workloads, undo=self.way_back)
        if decision.fence:
            yield Fence(self)
        yield Unfence(self)
        if decision.quiet:
            yield Wake(self)
        yield Switch(self)
        yield Reach(self)
        yield StartWorkloads(self)
        if decision.released:
            yield LetGo(self, decision.released, serving=decision.reached.name)
        if decision.request.back and decision.argocd:
            yield ReleaseArgoCd(self)
        if self.environment.smoke_test_url:
            yield SmokeTest(self)
        if not decision.request.back:
            yield BackUp(self)

    def run(self, tools: Tools) -> MoveReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        self.tools, self.session, decision = tools, tools.session, self.decision

        def report(course: Course) -> MoveReport:
            return MoveReport(
                decision=decision,
                smoke=self.smoke,
                **vars(course),
            )

        def at_end(record: Record) -> Record:
            # Only now: a rollback that is resumed has to end where it was going.
            return record.came_back(decision.origin) if decision.request.back else record

        tools.evidence.until = next((step.key for step in reversed(self.plan.steps) if step.key != BackUp.key), "")
        self._tell_of_data()
        go_on = decision.request.command(self.environment)
        return run_operation(tools, self.plan, go_on=go_on, report=report, at_end=at_end)

    def _tell_of_data(self) -> None:
        """What the report has besides the steps."""
        evidence, decision = self.tools.evidence, self.decision
        evidence.since = None if decision.request.back else self._recovery_report()
        if decision.fence is not None:
            evidence.kept.append(f"{decision.fence.name} with all that it has; it takes no more writes")
        evidence.versions |= self.tools.stack.versions

    def _recovery_report(self) -> ReportDocument | None:
        """The report of the recovery that made the Cluster, as far as it is on this machine."""
        reached, journal = self.decision.reached, self.tools.journal.path
        with suppress(AccessError):
            record = self.session.records.read()
            made = f"{reached.namespace}/{reached.name},"
            for entry in reversed(record.operations if record else ()):
                if entry.operation in {"pitr", "latest"} and entry.facts.get("Recovered", "").startswith(made):
                    return ReportFiles.beside(journal).read(entry.id)
        return None
