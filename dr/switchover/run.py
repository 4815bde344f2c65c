"""Moving the traffic: the switchover to a recovered Cluster, and the rollback to where it came from."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, cluster_behind
from dr.cnpg.clusters import find_cluster, list_clusters
from dr.cnpg.fencing import fence, unfence
from dr.core.errors import AccessError, EngineError, StepFailedError
from dr.core.target import LaterCommits, written_time
from dr.gitops.argocd_pause import managers, pause, release
from dr.guard.check import judge
from dr.kube import workloads
from dr.postgres.commits import commits_after
from dr.reports.document import ReportDocument, ReportFiles
from dr.run.operation import Course, Tools, run_operation
from dr.run.record import Record, recovered_last
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.switchover.plan import MoveDecision, MoveRequest, TrafficSituation, decide_move
from dr.switchover.report import MoveReport
from dr.traffic.name_check import await_ok, await_same_address, log_in, pod_of
from dr.traffic.writers import check_stopped, hold, let_go, list_self_starters, start_writers, stop_writers

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
    clusters = {cluster.name for cluster in (left, reached) if cluster}
    self_starters = list_self_starters(api, environment, clusters)
    return TrafficSituation(
        seen_at=session.clock(),
        external_name=external_name,
        left=left,
        reached=reached,
        workloads={name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments},
        record=record,
        argocd=managers(session, clusters=clusters, self_starters=self_starters),
        self_starters=self_starters,
        later=_later(session, left, _parted(reached, record, back=request.back)) if left != reached else None,
    )


def _parted(reached: ClusterSnapshot | None, record: Record, *, back: bool) -> datetime | None:
    """Since when the Cluster that is left goes its own way: the recovery's target, or for the way back the
    switchover.
    """
    if back:
        moved = [entry for entry in record.operations if entry.operation == "switchover"]
        return moved[-1].started if moved else None
    target = reached.annotations.get(TARGET_ANNOTATION) if reached else None
    return written_time(target)


def _later(session: Session, left: ClusterSnapshot | None, since: datetime | None) -> LaterCommits | None:
    if left is None or left.primary is None or since is None:
        return None
    return commits_after(session.api, namespace=left.namespace, pod=left.primary, since=since)


class Move:
    """One switchover or rollback that was agreed to. ``patience`` are the seconds that a first base backup may wait for
    another Cluster's before it is left to CloudNativePG; None where it has to be seen.
    """

    def __init__(self, tools: Tools, decision: MoveDecision, *, patience: float | None = None) -> None:
        self._patience = patience
        self._tools = tools
        self._session = tools.session
        self._decision = decision
        self._smoke = ""

    def run(self) -> MoveReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        session, decision = self._session, self._decision
        doing: dict[str, Callable[[], str]] = {
            "remember": self._remember,
            "pause-argocd": lambda: pause(session, decision.argocd),
            "hold": lambda: hold(session, decision.held),
            "stop-writers": lambda: stop_writers(session, decision.workloads),
            "fence": self._fence,
            "unfence": self._unfence,
            "switch": self._switch,
            "reach": self._reach,
            "start-workloads": self._start,
            "let-go": lambda: let_go(session, decision.reached.name),
            "release-argocd": lambda: release(session),
            "smoke-test": self._smoke_test,
            "back-up": self._back_up,
        }

        def report(course: Course) -> MoveReport:
            return MoveReport(
                decision=decision,
                environment=session.environment,
                started=course.started,
                seconds=course.seconds,
                steps=course.steps,
                smoke=self._smoke,
                journal=course.journal,
            )

        def at_end(record: Record) -> Record:
            # Only now: a rollback that is resumed has to end where it was going.
            return record.came_back(decision.origin) if decision.request.back else record

        self._tools.evidence.until = next(
            (step.key for step in reversed(decision.plan.steps) if step.key != "back-up"), ""
        )
        self._tell_of_data()
        go_on = decision.request.command(session.environment)
        return run_operation(self._tools, decision.plan, doing, go_on=go_on, report=report, at_end=at_end)

    def _tell_of_data(self) -> None:
        """What the report has beside the steps."""
        evidence, decision = self._tools.evidence, self._decision
        evidence.since = None if decision.request.back else self._recovery_report()
        if decision.later is not None and decision.later.count:
            evidence.lost.append(f"{decision.later} in the Cluster that is left, and not in {decision.reached.name}")
        if decision.fence is not None:
            evidence.kept.append(f"{decision.fence.name} with all that it has; it takes no more writes")
        evidence.versions |= self._tools.stack.versions

    def _recovery_report(self) -> ReportDocument | None:
        """The report of the recovery that made the Cluster, as far as it is on this machine."""
        reached, journal = self._decision.reached, self._tools.journal.path
        with suppress(AccessError):
            record = self._session.records.read()
            made = f"{reached.namespace}/{reached.name},"
            for entry in reversed(record.operations if record else ()):
                if entry.operation in {"pitr", "latest"} and entry.facts.get("Recovered", "").startswith(made):
                    return ReportFiles.beside(journal).read(entry.id)
        return None

    def _change(self, change: Callable[[Record], Record]) -> Record:
        return self._session.records.change(change, now=self._session.clock())

    def _remember(self) -> str:
        decision = self._decision
        counts = {workload.name: workload.replicas for workload in decision.workloads}

        def change(record: Record) -> Record:
            counted = record.with_replicas(counts)
            return counted if decision.request.back else counted.leaving(decision.before, towards=decision.host)

        self._foresee(self._change(change))
        return f"{decision.before} before"

    def _foresee(self, record: Record) -> None:
        """Have the switch previewed while the writers are stopped: what is to come is known by now."""
        self._tools.stack.foresee(self._declaration(record.pointing_to(self._decision.host)))

    def _declaration(self, record: Record) -> Declaration:
        namespace = self._session.environment.namespace
        return record.declaration({cluster.name for cluster in list_clusters(self._session.api, namespace)})

    def _fence(self) -> str:
        old = self._decision.fence
        if old is None:
            return "nothing to keep still"
        self._change(lambda record: record.with_fenced(old.name, fenced=True))
        hibernate = self._decision.request.hibernate
        fence(
            self._session.api,
            old.namespace,
            old.name,
            hibernate=hibernate,
            limit=_FENCE_SECONDS,
            stop=self._session.stop,
        )
        return f"{old.name} {'hibernates' if hibernate else 'is fenced'}"

    def _unfence(self) -> str:
        # Only now that nothing is written to the old Cluster any more: before, they could still come back after a look.
        check_stopped(self._session, self._decision.workloads)
        reached = self._decision.reached
        limit = self._session.environment.timeouts.recovery.total_seconds()
        unfence(self._session.api, reached.namespace, reached.name, limit=limit, stop=self._session.stop)
        self._change(lambda record: record.with_fenced(reached.name, fenced=False))
        return f"{reached.name} is healthy"

    def _switch(self) -> str:
        record = self._change(lambda record: record.pointing_to(self._decision.host))
        overridden: list[str] = []
        self._tools.stack.up(self._declaration(record), judge(self._session, overridden.append))
        try:
            self._tools.stack.result(_SWITCH_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                "engine-waits",
                f"Pulumi has not declared the Service within {_SWITCH_SECONDS} s: it patches it, and then watches "
                "Services and endpoints",
                "may this user list and watch both (deploy/rbac/recover.yaml)? Then repeat the command",
            ) from error
        return "; ".join([self._check_service(), *overridden])

    def _check_service(self) -> str:
        """See that the Service points to where it was declared to. Raises StepFailedError ``service-put-back``."""
        environment = self._session.environment
        now = workloads.external_name(self._session.api, environment.namespace, environment.service)
        if now != self._decision.host:
            raise StepFailedError(
                "service-put-back",
                f"the Service {environment.service} points to {now} again, after it was declared to point to "
                f"{self._decision.host}",
                "something puts it back (Argo CD? a sync by hand?): keep it away, then repeat the command",
            )
        return f"{environment.service} points to {now}"

    def _reach(self) -> str:
        reached, environment, session = self._decision.reached, self._session.environment, self._session
        pod = pod_of(session.api, reached.namespace, reached.primary or f"{reached.name}-1")
        alias = environment.service_hosts[-1]
        await_same_address(pod, alias, self._decision.host, limit=_NAME_SECONDS, stop=session.stop)
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

    def _start(self) -> str:
        started = start_writers(self._session, self._decision.workloads)
        self._check_service()
        return started

    def _smoke_test(self) -> str:
        environment = self._session.environment
        way = f"python -m dr rollback --env {environment.name} is the way back"
        if self._decision.request.back:
            way = f"if that is what was broken, python -m dr switchover --env {environment.name} moves on again"
        try:
            self._smoke = await_ok(
                environment.smoke_test_url or "",
                limit=_SMOKE_SECONDS,
                stop=self._session.stop,
                remedy=f"look at the application's log; {way}",
            )
        finally:
            self._check_service()  # where it was put back, that is the cause of a failure too
        return self._smoke

    def _back_up(self) -> str:
        session = self._session
        came = take_first_backup(
            session.api,
            self._decision.reached,
            stop=session.stop,
            say=self._tools.reporter.progress,
            patience=self._patience,
        )
        self._check_service()
        return came
