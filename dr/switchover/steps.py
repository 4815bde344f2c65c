"""The steps of a switchover and a rollback, and what they share."""

from collections.abc import Callable

from dr.cnpg.backups import take_first_backup
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster, list_clusters
from dr.cnpg.fencing import fence, unfence
from dr.cnpg.left_behind import left_behind
from dr.cnpg.primary import SERVER, programs_of, psql_of
from dr.cnpg.quiet import ask_quiet
from dr.core.errors import AccessError, EngineError, StepFailedError
from dr.core.plan import Phase, StepOf
from dr.core.target import LaterCommits
from dr.core.waiting import poll
from dr.gitops.argocd_pause import release
from dr.guard.check import judge
from dr.kube import workloads
from dr.run.operation import Operation, OperationContext
from dr.run.record import Record
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.switchover.manual_changes import as_they_are
from dr.switchover.plan import MoveDecision, check_left_behind
from dr.traffic.name_check import await_ok, await_same_address, log_in
from dr.traffic.passwords import logins_for
from dr.traffic.writers import check_stopped, start_writers

_FENCE_SECONDS = 120
_SWITCH_SECONDS = 180
_NAME_SECONDS = 90
_LOGIN_SECONDS = 60
_SMOKE_SECONDS = 60


def count_left_behind(session: Session, decision: MoveDecision) -> LaterCommits | None:
    """What is in the Cluster that was fenced and not in the one to move to; None where that cannot be counted. Raises
    AccessError where the Clusters or the record could not be read.
    """
    if decision.fence is None:
        return None
    present = list_clusters(session.api, decision.fence.namespace)
    record = session.records.read()
    first = record.verified.get(decision.fence.name) if record else None
    return left_behind(session.api, decision.fence, decision.new_cluster, present, first=first)


class Moving(Operation):
    """What the steps share: what was decided, the record, and the Service that they move."""

    context: OperationContext

    def __init__(self, decision: MoveDecision, *, patience: float | None = None) -> None:
        self.decision = decision
        self.patience = patience
        self.smoke = ""
        # The one way: it starts the writers of the Cluster that is left, too.
        self.way_back = (decision.way_back,) if decision.way_back else ()
        super().__init__(decision.request.operation, decision)

    def change(self, change: Callable[[Record], Record]) -> Record:
        """The record as it is kept once it is changed. Raises AccessError."""
        return self.session.records.change(change, now=self.session.clock())

    def check_not_moved(self) -> None:
        """See that the Service points to where it did when the plan was made, or to where it shall. Raises
        StepFailedError ``service-moved``.
        """
        environment, decision = self.environment, self.decision
        now = workloads.external_name(self.session.api, environment.namespace, environment.service)
        if now not in {decision.before, decision.host}:
            raise StepFailedError(
                "service-moved",
                f"the Service {environment.service} points to {now}; when the plan was made, it pointed to "
                f"{decision.before}, and what is there is what would be kept from writing",
                "find who moved it, and repeat the command: it plans again",
            )

    def change_declared(self, change: Callable[[Record], Record]) -> Record:
        """As :meth:`change`, for what is declared next: with the Clusters as they are now. Raises AccessError."""
        present = list_clusters(self.session.api, self.environment.namespace)
        return self.change(lambda record: as_they_are(change(record), present))

    def declaration(self, record: Record) -> Declaration:
        """What ``record`` has Pulumi declare."""
        return record.declaration({one.name for one in list_clusters(self.session.api, self.environment.namespace)})

    def declared(self, what: str) -> None:
        """Wait until Pulumi has declared ``what``. Raises EngineError ``engine-waits`` at the limit."""
        try:
            self.context.stack.result(_SWITCH_SECONDS)
        except TimeoutError as error:
            raise EngineError(
                "engine-waits",
                f"Pulumi has not declared {what} within {_SWITCH_SECONDS} s: it patches the Service, and then watches "
                "Services and endpoints",
                "may this user list and watch both (deploy/rbac/recover.yaml)? Then repeat the command",
            ) from error

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


class SaveState(StepOf[Moving]):
    key, title, phase = "remember", "Save state", Phase.PREPARATION
    done_when = "the record is written"

    def detail(self) -> str:
        environment = self.op.environment
        record = f"{environment.namespace}/postgres-dr-{environment.name}"
        return f"replica counts and where the Service points, in ConfigMap {record}"

    def run(self) -> str:
        decision = self.op.decision
        self.op.check_not_moved()
        counts = {workload.name: workload.replicas for workload in decision.workloads}

        def change(record: Record) -> Record:
            counted = record.with_replicas(counts)
            return counted if decision.request.back else counted.leaving(decision.comes_from, towards=decision.host)

        record = self.op.change_declared(change)
        # What is declared first is previewed while the writers are stopped: what is to come is known by now.
        first = record.awakened(decision.new_cluster.name) if decision.quiet else record.pointing_to(decision.host)
        self.op.context.stack.foresee(self.op.declaration(first))
        return f"{decision.comes_from} before"


class Fence(StepOf[Moving]):
    key, title, phase = "fence", "Fence the old cluster", Phase.TRAFFIC
    done_when = "none of its instances serves any more"

    def detail(self) -> str:
        how = "hibernate" if self.op.decision.request.hibernate else "fence"
        return f"{how} {self._old.name}, so that nothing is written there unseen"

    def undo(self) -> tuple[str, ...]:
        return self.op.way_back

    def run(self) -> str:
        """Raises VerificationError ``more-left-behind`` or ``left-behind-unknown``, with nothing moved."""
        op, old, hibernate = self.op, self._old, self.op.decision.request.hibernate
        op.change(lambda record: record.with_fenced(old.name, fenced=True))
        self._keep_still(hibernate=False)
        counted = self._count()
        if hibernate:  # only now: without its pods nothing could be counted
            self._keep_still(hibernate=True)
        return f"{old.name} {'hibernates' if hibernate else 'is fenced'}{counted}"

    def _keep_still(self, *, hibernate: bool) -> None:
        old, session = self._old, self.op.session
        fence(session.api, old.namespace, old.name, hibernate=hibernate, limit=_FENCE_SECONDS, stop=session.stop)

    def _count(self) -> str:
        """What stays in the Cluster that is left, now that nothing is added, held against what was agreed to."""
        decision = self.op.decision
        now = count_left_behind(self.op.session, decision)
        go_on = decision.request.command(decision.environment)
        check_left_behind(decision, now, announced=decision.commits_left_behind, go_on=go_on)
        if now is None:
            return "; what stays there could not be counted"
        if now.count:
            self.op.context.report_data.lost.append(
                f"{now} in the Cluster that is left, and not in {decision.new_cluster.name}"
            )
        return f"; {now} stay there" if now.count or not now.complete else ""

    @property
    def _old(self) -> ClusterSnapshot:
        assert self.op.decision.fence is not None, "without one there is no such step"  # noqa: S101
        return self.op.decision.fence


class Unfence(StepOf[Moving]):
    key, title, phase = "unfence", "Unfence", Phase.TRAFFIC
    done_when = "CloudNativePG calls it healthy, and it serves"

    def detail(self) -> str:
        return f"see that {self.op.decision.new_cluster.name} is not fenced and is healthy"

    def run(self) -> str:
        session, new_cluster = self.op.session, self.op.decision.new_cluster
        # Only now that nothing is written to the old Cluster any more: before, they could still come back after a look.
        check_stopped(session, self.op.decision.workloads)
        limit = self.op.environment.timeouts.recovery.total_seconds()
        unfence(session.api, new_cluster.namespace, new_cluster.name, limit=limit, stop=session.stop)
        self.op.change(lambda record: record.with_fenced(new_cluster.name, fenced=False))
        return f"{new_cluster.name} is healthy"


class Wake(StepOf[Moving]):
    """What acts on the outside was kept quiet since the recovery; the one that it belongs to is still by now."""

    key, title, phase = "wake", "Let it act", Phase.TRAFFIC
    done_when = "none of the parameters is set so any more, and CloudNativePG calls it healthy"

    def detail(self) -> str:
        name, parameters = self.op.decision.new_cluster.name, ", ".join(self.op.decision.quiet)
        return (
            f"Pulumi declares {name} without what keeps its subscriptions and jobs quiet ({parameters}); PostgreSQL "
            "restarts where it must"
        )

    def run(self) -> str:
        session, new_cluster = self.op.session, self.op.decision.new_cluster
        record = self.op.change_declared(lambda record: record.awakened(new_cluster.name))
        overridden: list[str] = []
        self.op.context.stack.up(self.op.declaration(record), judge(session, overridden.append))
        self.op.declared("the Cluster")
        limit = self.op.environment.timeouts.recovery.total_seconds()
        for _ in poll(limit, stop=session.stop, what=f"{new_cluster.name} to act"):
            if self._is_awake():
                return "; ".join([f"{new_cluster.name} acts on its own", *overridden])
        describe = session.api.commands.kubectl(
            "describe", "cluster", new_cluster.name, namespace=new_cluster.namespace
        )
        raise StepFailedError(
            "still-quiet",
            f"{', '.join(self.op.decision.quiet)} of {new_cluster.name} are still as they were set for the recovery",
            f"look: {describe}; then repeat the command",
        )

    def _is_awake(self) -> bool:
        """What restarts does not answer: then it is not."""
        session, new_cluster = self.op.session, self.op.decision.new_cluster
        cluster = find_cluster(session.api, new_cluster.namespace, new_cluster.name)
        if cluster is None or not cluster.healthy:
            return False
        try:
            return not psql_of(session.api, cluster, SERVER).ask(ask_quiet(self.op.decision.quiet))
        except AccessError:
            return False


class Switch(StepOf[Moving]):
    key, title, phase = "switch", "Switch", Phase.TRAFFIC
    done_when = "the Service was read again and points there"

    def detail(self) -> str:
        return f"Pulumi declares the externalName of {self.op.environment.service}: {self.op.decision.host}"

    def undo(self) -> tuple[str, ...]:
        return self.op.way_back

    def run(self) -> str:
        stack, host = self.op.context.stack, self.op.decision.host
        record = self.op.change_declared(lambda record: record.pointing_to(host))
        overridden: list[str] = []
        stack.up(self.op.declaration(record), judge(self.op.session, overridden.append))
        self.op.declared("the Service")
        return "; ".join([self.op.check_service(), *overridden])


class Reach(StepOf[Moving]):
    key, title, phase = "reach", "Verify connectivity", Phase.TRAFFIC
    done_when = "both were seen from a pod"

    def detail(self) -> str:
        return "see from inside the cluster that the name has moved, and log in by it with the workloads' password"

    def run(self) -> str:
        new_cluster, environment, session = self.op.decision.new_cluster, self.op.environment, self.op.session
        pod = programs_of(session.api, new_cluster)
        alias = environment.service_hosts[-1]
        await_same_address(pod, alias, self.op.decision.host, limit=_NAME_SECONDS, stop=session.stop)
        logins = logins_for(
            session.api,
            new_cluster,
            self.op.decision.workloads,
            namespace=environment.workloads.namespace,
            back=self.op.decision.request.back,
        )
        server = ""
        for login in logins:
            server = log_in(
                pod, host=alias, database=new_cluster.database, login=login, limit=_LOGIN_SECONDS, stop=session.stop
            )
        whose = "; ".join(login.whose for login in logins)
        return f"{alias} leads to {new_cluster.primary} ({server}), and the password is accepted: {whose}"


class StartWorkloads(StepOf[Moving]):
    key, title, phase = "start-workloads", "Start the workloads", Phase.TRAFFIC
    done_when = "every pod is of the newest template and available"

    def detail(self) -> str:
        return ", ".join(f"{one.name} {one.return_to}" for one in self.op.decision.workloads) + ", and wait"

    def undo(self) -> tuple[str, ...]:
        return self.op.way_back

    def run(self) -> str:
        started = start_writers(self.op.session, self.op.decision.workloads)
        self.op.check_service()
        return started


class ReleaseArgoCd(StepOf[Moving]):
    key, title, phase = "release-argocd", "Resume Argo CD", Phase.TRAFFIC
    done_when = "the settings are as they were"

    def detail(self) -> str:
        return "let Argo CD manage again what was paused, if Git agrees with the cluster"

    def run(self) -> str:
        return release(self.op.session)


class SmokeTest(StepOf[Moving]):
    key, title, phase = "smoke-test", "Smoke test", Phase.TRAFFIC
    done_when = "it has answered"

    def detail(self) -> str:
        return f"{self.op.environment.smoke_test_url} answers 200"

    def run(self) -> str:
        environment = self.op.environment
        way = f"{environment.commands.dr('rollback')} is the way back"
        if self.op.decision.request.back:
            way = f"if that is what was broken, {environment.commands.dr('switchover')} moves on again"
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


class BackUp(StepOf[Moving]):
    key, title, phase = "back-up", "Back it up", Phase.OTHER
    done_when = "CloudNativePG calls the base backup completed"

    def detail(self) -> str:
        name = self.op.decision.new_cluster.name
        return f"take a first base backup of {name}, without which it could not be recovered itself"

    def run(self) -> str:
        came = take_first_backup(
            self.op.session.api,
            self.op.decision.new_cluster,
            stop=self.op.session.stop,
            say=self.op.context.reporter.progress,
            patience=self.op.patience,
        )
        self.op.check_service()
        return came
