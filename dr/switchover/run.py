"""Moving the traffic: the switchover to a recovered Cluster, and the rollback to where it came from."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster, list_clusters
from dr.cnpg.fencing import fence, is_silent, unfence
from dr.cnpg.left_behind import left_behind
from dr.cnpg.recovered import SOURCE_ANNOTATION
from dr.core.errors import AccessError, EngineError, StepFailedError
from dr.core.plan import Phase, Step, StepOf
from dr.gitops.argocd_pause import managers, release
from dr.gitops.steps import pause_where_needed
from dr.guard.check import judge
from dr.kube import workloads
from dr.reports.document import ReportDocument, ReportFiles
from dr.run.operation import Course, Operation, Tools, run_operation
from dr.run.record import Record, recovered_last
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.switchover.plan import MoveDecision, MoveRequest, TrafficSituation, decide_move
from dr.switchover.report import MoveReport
from dr.traffic.clients import other_clients
from dr.traffic.name_check import await_ok, await_same_address, log_in, pod_of
from dr.traffic.steps import LetGo, StopWriters, hold_where_needed
from dr.traffic.writer_steps import scale_commands
from dr.traffic.writers import check_stopped, list_self_starters, start_writers

_FENCE_SECONDS = 120
_SWITCH_SECONDS = 180
_NAME_SECONDS = 90
_LOGIN_SECONDS = 60
_SMOKE_SECONDS = 60


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


class Move(Operation):
    """One switchover or rollback that was decided. ``patience`` are the seconds that a first base backup may wait for
    another Cluster's before it is left to CloudNativePG; None where it has to be seen.
    """

    tools: Tools

    def __init__(self, decision: MoveDecision, *, patience: float | None = None) -> None:
        self.decision = decision
        self.patience = patience
        self.smoke = ""
        # Before a switchover there is nothing to go back from.
        self.way_back = () if decision.request.back else (f"python -m dr rollback --env {decision.environment.name}",)
        super().__init__(decision.request.operation, decision)

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
                environment=self.environment,
                started=course.started,
                seconds=course.seconds,
                steps=course.steps,
                smoke=self.smoke,
                journal=course.journal,
            )

        def at_end(record: Record) -> Record:
            # Only now: a rollback that is resumed has to end where it was going.
            return record.came_back(decision.origin) if decision.request.back else record

        tools.evidence.until = next((step.key for step in reversed(self.plan.steps) if step.key != BackUp.key), "")
        self._tell_of_data()
        go_on = decision.request.command(self.environment)
        return run_operation(tools, self.plan, go_on=go_on, report=report, at_end=at_end)

    def _tell_of_data(self) -> None:
        """What the report has beside the steps."""
        evidence, decision = self.tools.evidence, self.decision
        evidence.since = None if decision.request.back else self._recovery_report()
        if decision.later is not None and decision.later.count:
            evidence.lost.append(f"{decision.later} in the Cluster that is left, and not in {decision.reached.name}")
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

    def change(self, change: Callable[[Record], Record]) -> Record:
        """The record as it is kept once it is changed. Raises AccessError."""
        return self.session.records.change(change, now=self.session.clock())

    def declaration(self, record: Record) -> Declaration:
        """What ``record`` has Pulumi declare."""
        return record.declaration({one.name for one in list_clusters(self.session.api, self.environment.namespace)})

    def check_service(self) -> str:
        """See that the Service points to where it was declared to. Raises StepFailedError ``service-put-back``."""
        environment = self.environment
        now = workloads.external_name(self.session.api, environment.namespace, environment.service)
        if now != self.decision.host:
            raise StepFailedError(
                "service-put-back",
                f"the Service {environment.service} points to {now} again, after it was declared to point to "
                f"{self.decision.host}",
                "something puts it back (Argo CD? a sync by hand?): keep it away, then repeat the command",
            )
        return f"{environment.service} points to {now}"


class Remember(StepOf[Move]):
    key, title, phase = "remember", "Remember", Phase.PREPARATION
    done_when = "the record is written"

    def detail(self) -> str:
        environment = self.op.environment
        record = f"{environment.namespace}/postgres-dr-{environment.name}"
        return f"replica counts and where the Service points, in ConfigMap {record}"

    def run(self) -> str:
        decision = self.op.decision
        counts = {workload.name: workload.replicas for workload in decision.workloads}

        def change(record: Record) -> Record:
            counted = record.with_replicas(counts)
            return counted if decision.request.back else counted.leaving(decision.before, towards=decision.host)

        record = self.op.change(change)
        # The switch is previewed while the writers are stopped: what is to come is known by now.
        self.op.tools.stack.foresee(self.op.declaration(record.pointing_to(decision.host)))
        return f"{decision.before} before"


class Fence(StepOf[Move]):
    key, title, phase = "fence", "Keep the old one still", Phase.TRAFFIC
    done_when = "none of its instances serves any more"

    def detail(self) -> str:
        how = "hibernate" if self.op.decision.request.hibernate else "fence"
        return f"{how} {self._old.name}, so that nothing is written there unseen"

    def undo(self) -> tuple[str, ...]:
        return self.op.way_back

    def run(self) -> str:
        old, session, hibernate = self._old, self.op.session, self.op.decision.request.hibernate
        self.op.change(lambda record: record.with_fenced(old.name, fenced=True))
        fence(
            session.api,
            old.namespace,
            old.name,
            hibernate=hibernate,
            limit=_FENCE_SECONDS,
            stop=session.stop,
        )
        return f"{old.name} {'hibernates' if hibernate else 'is fenced'}"

    @property
    def _old(self) -> ClusterSnapshot:
        assert self.op.decision.fence is not None, "without one there is no such step"  # noqa: S101
        return self.op.decision.fence


class Unfence(StepOf[Move]):
    key, title, phase = "unfence", "Let it write", Phase.TRAFFIC
    done_when = "CloudNativePG calls it healthy, and it serves"

    def detail(self) -> str:
        return f"see that {self.op.decision.reached.name} is not fenced and is healthy"

    def run(self) -> str:
        session, reached = self.op.session, self.op.decision.reached
        # Only now that nothing is written to the old Cluster any more: before, they could still come back after a look.
        check_stopped(session, self.op.decision.workloads)
        limit = self.op.environment.timeouts.recovery.total_seconds()
        unfence(session.api, reached.namespace, reached.name, limit=limit, stop=session.stop)
        self.op.change(lambda record: record.with_fenced(reached.name, fenced=False))
        return f"{reached.name} is healthy"


class Switch(StepOf[Move]):
    key, title, phase = "switch", "Switch", Phase.TRAFFIC
    done_when = "the Service was read again and points there"

    def detail(self) -> str:
        return f"Pulumi declares the externalName of {self.op.environment.service}: {self.op.decision.host}"

    def undo(self) -> tuple[str, ...]:
        return self.op.way_back

    def run(self) -> str:
        stack, host = self.op.tools.stack, self.op.decision.host
        record = self.op.change(lambda record: record.pointing_to(host))
        overridden: list[str] = []
        stack.up(self.op.declaration(record), judge(self.op.session, overridden.append))
        try:
            stack.result(_SWITCH_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                "engine-waits",
                f"Pulumi has not declared the Service within {_SWITCH_SECONDS} s: it patches it, and then watches "
                "Services and endpoints",
                "may this user list and watch both (deploy/rbac/recover.yaml)? Then repeat the command",
            ) from error
        return "; ".join([self.op.check_service(), *overridden])


class Reach(StepOf[Move]):
    key, title, phase = "reach", "Reach it", Phase.TRAFFIC
    done_when = "both were seen from a pod"

    def detail(self) -> str:
        return "see from inside the cluster that the name has moved, and log in by it with the workloads' password"

    def run(self) -> str:
        reached, environment, session = self.op.decision.reached, self.op.environment, self.op.session
        pod = pod_of(session.api, reached.namespace, reached.primary or f"{reached.name}-1")
        alias = environment.service_hosts[-1]
        await_same_address(pod, alias, self.op.decision.host, limit=_NAME_SECONDS, stop=session.stop)
        secret = workloads.read_secret(session.api, reached.namespace, reached.app_secret)
        if secret is None:
            raise StepFailedError(
                "secret-missing",
                f"there is no Secret {reached.namespace}/{reached.app_secret}",
                "restore the Secret of the database's owner",
            )
        server = log_in(
            pod, host=alias, database=reached.database, secret=secret, limit=_LOGIN_SECONDS, stop=session.stop
        )
        return f"{alias} leads to {reached.primary} ({server}), and the password is accepted"


class StartWorkloads(StepOf[Move]):
    key, title, phase = "start-workloads", "Start the workloads", Phase.TRAFFIC
    done_when = "every pod is of the newest template and available"

    def detail(self) -> str:
        return ", ".join(f"{one.name} {one.return_to}" for one in self.op.decision.workloads) + ", and wait"

    def undo(self) -> tuple[str, ...]:
        return tuple(scale_commands(self.op.environment, self.op.decision.workloads, replicas=0))

    def run(self) -> str:
        started = start_writers(self.op.session, self.op.decision.workloads)
        self.op.check_service()
        return started


class ReleaseArgoCd(StepOf[Move]):
    key, title, phase = "release-argocd", "Give it back", Phase.TRAFFIC
    done_when = "the settings are as they were"

    def detail(self) -> str:
        return "let Argo CD manage again what was paused, if Git agrees with the cluster"

    def run(self) -> str:
        return release(self.op.session)


class SmokeTest(StepOf[Move]):
    key, title, phase = "smoke-test", "Smoke test", Phase.TRAFFIC
    done_when = "it has answered"

    def detail(self) -> str:
        return f"{self.op.environment.smoke_test_url} answers 200"

    def run(self) -> str:
        environment = self.op.environment
        way = f"python -m dr rollback --env {environment.name} is the way back"
        if self.op.decision.request.back:
            way = f"if that is what was broken, python -m dr switchover --env {environment.name} moves on again"
        try:
            self.op.smoke = await_ok(
                environment.smoke_test_url or "",
                limit=_SMOKE_SECONDS,
                stop=self.op.session.stop,
                remedy=f"look at the application's log; {way}",
            )
        finally:
            self.op.check_service()  # where it was put back, that is the cause of a failure too
        return self.op.smoke


class BackUp(StepOf[Move]):
    key, title, phase = "back-up", "Back it up", Phase.OTHER
    done_when = "CloudNativePG calls the base backup completed"

    def detail(self) -> str:
        name = self.op.decision.reached.name
        return f"take a first base backup of {name}, without which it could not be recovered itself"

    def run(self) -> str:
        came = take_first_backup(
            self.op.session.api,
            self.op.decision.reached,
            stop=self.op.session.stop,
            say=self.op.tools.reporter.progress,
            patience=self.op.patience,
        )
        self.op.check_service()
        return came
