"""The steps of a recovery, and what they share."""

import time
from collections.abc import Callable
from contextlib import suppress

from dr.archive.promise import Promise
from dr.cnpg import clusters as cnpg
from dr.cnpg.cluster_copies import keep_copy
from dr.cnpg.fetch_ahead import config_map_name, with_program
from dr.cnpg.fetch_ahead_program import bring_program, make_as_declared, remove_program
from dr.cnpg.instance import last_acknowledged, read_versions
from dr.cnpg.left_behind import left_behind
from dr.cnpg.primary import primary_of, psql_of
from dr.cnpg.recovered import app_secret_name, ca_secret_name
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.core.errors import AccessError
from dr.core.plan import RECOVER, Phase, StepOf
from dr.guard.check import judge as judge_by_guard
from dr.kube import workloads
from dr.kube.api import KubernetesApi
from dr.postgres.psql import Psql
from dr.recovery.plan import RecoveryDecision
from dr.recovery.sealing import seal_source
from dr.recovery.verify import (
    VerificationResult,
    judge,
    loss_at_the_end,
    loss_by_target,
    lost_by_target,
    verify_database,
    verify_end,
    verify_last_commit,
    verify_table,
)
from dr.recovery.wait import RecoveryWait
from dr.run.operation import Operation, OperationContext
from dr.run.record import Record
from dr.stacks.declaration import Declaration
from dr.traffic.writers import check_stopped

_ARCHIVING_SECONDS = 60
_SETTLE_SECONDS = 120
_CLEAR_SECONDS = 120
_LOST_SECONDS = 90
_LOST = {"not-found", "api-error", "api-unreachable", "container-not-running", "exec-failed", "sql-failed"}
"""How a question fails whose pod, or container, or server is on its way out or in."""


class Recovering(Operation):
    """What the steps share: what was decided, the record, the watch over the Cluster, and what was found so far."""

    context: OperationContext
    record: Record
    watch: RecoveryWatch
    wait: RecoveryWait

    def __init__(self, decision: RecoveryDecision) -> None:
        self.decision = decision
        self.findings: list[VerificationResult] = []
        self.cluster_seconds = 0.0
        self.versions: Callable[[], dict[str, str]] = dict
        self.fetching = decision.fetching
        super().__init__(decision.request.operation, decision)

    @property
    def declaration(self) -> Declaration:
        """All Clusters that Pulumi is to declare."""
        return self.record.declaration({*self.decision.present, self.decision.cluster.name})

    @property
    def first_declaration(self) -> Declaration:
        """What is declared first: where a program fetches WAL, the Cluster as it is while it recovers."""
        if self.fetching is None:
            return self.declaration
        return self.declaration.with_cluster(with_program(self.decision.cluster, self.fetching))

    def promised(self, record: Record, promise: Promise | None) -> Record:
        """Where the recovery has to end is kept as it was when it began: it may not know of what was sealed since."""
        return record if self.decision.begun else record.with_promise(self.decision.cluster.name, promise)


class SaveState(StepOf[Recovering]):
    key, title, phase = "remember", "Save state", Phase.PREPARATION
    done_when = "the record is written"

    def detail(self) -> str:
        environment = self.op.environment
        record = f"{environment.namespace}/postgres-dr-{environment.name}"
        return f"replica counts and this recovery, in ConfigMap {record}"

    def run(self) -> str:
        op, decision = self.op, self.op.decision
        counts = {workload.name: workload.replicas for workload in decision.workloads}

        def change(record: Record) -> Record:
            return op.promised(record.with_replicas(counts).with_recovery(decision.cluster), decision.promise)

        op.record = op.session.records.change(change, now=op.session.clock())
        op.context.stack.foresee(op.first_declaration)
        self._keep_copy()
        return ", ".join(f"{name} {op.record.replicas.get(name, count)}" for name, count in counts.items())

    def _keep_copy(self) -> None:
        """Keep how the source runs next to its backups. Who may only read the bucket can recover all the same."""
        source = self.op.decision.source
        if source.uid:
            with suppress(AccessError):
                keep_copy(self.op.environment.backup, source, self.op.session.clock())


class SealWal(StepOf[Recovering]):
    key, title, phase = "seal-wal", "Seal the WAL", Phase.PREPARATION
    done_when = "PostgreSQL reports the segment as archived"

    def detail(self) -> str:
        return f"one commit on {self.op.decision.source.primary}, a new WAL segment, and the old one in the archive"

    def run(self) -> str:
        op = self.op
        sealed = seal_source(op.session, op.context.reporter, op.decision.source)
        if op.decision.request.target is None and not op.decision.broken_off:
            op.record = op.session.records.change(
                lambda record: op.promised(record, sealed.end), now=op.session.clock()
            )
        return f"{sealed.segment} archived"


def copy_secrets(api: KubernetesApi, decision: RecoveryDecision) -> str:
    """Copy the owner's password for the new Cluster, and the CA where the source's is kept; returns what was done, in
    words. Raises what :func:`dr.kube.workloads.copy_credentials` raises.
    """
    source, cluster, in_use = decision.source, decision.cluster, decision.begun
    name = app_secret_name(cluster.name)
    done = workloads.copy_credentials(api, source.namespace, source=source.app_secret, name=name, in_use=in_use)
    if not decision.keeps_authority:
        return f"Secret {name} {done}"
    own, copy = ca_secret_name(source.name), ca_secret_name(cluster.name)
    same = workloads.copy_authority(api, source.namespace, source=own, name=copy, in_use=in_use)
    return f"Secret {name} {done}, Secret {copy} {same}"


class KeepPassword(StepOf[Recovering]):
    key, title, phase = "credentials", "Keep the password", Phase.PREPARATION
    done_when = "the Secret is there"

    @property
    def _name(self) -> str:
        return app_secret_name(self.op.decision.cluster.name)

    @property
    def _authority(self) -> str:
        return ca_secret_name(self.op.decision.cluster.name) if self.op.decision.keeps_authority else ""

    def detail(self) -> str:
        source = self.op.decision.source
        authority = f", and its CA, {ca_secret_name(source.name)}, to {self._authority}" if self._authority else ""
        return f"copy Secret {source.app_secret} to {self._name} for the recovered cluster{authority}"

    def undo(self) -> tuple[str, ...]:
        namespace, names = self.op.decision.cluster.namespace, filter(None, (self._name, self._authority))
        return (self.op.environment.commands.kubectl("delete", "secret", *names, namespace=namespace),)

    def run(self) -> str:
        return copy_secrets(self.op.session.api, self.op.decision)


class ClearAway(StepOf[Recovering]):
    key, title, phase = "clear", "Delete the failed attempt", Phase.PREPARATION
    done_when = "the Cluster and its volumes are gone"

    def detail(self) -> str:
        name = self.op.decision.cluster.name
        return f"delete the Cluster {name}, whose recovery failed and which never ran, and its volume"

    def run(self) -> str:
        cluster, session = self.op.decision.cluster, self.op.session
        deleted = cnpg.delete_given_up(
            session.api, cluster.namespace, cluster.name, limit=_CLEAR_SECONDS, stop=session.stop
        )
        if deleted:
            return f"Cluster {cluster.name} is gone"
        # It fetches WAL as it has begun to.
        self.op.fetching = None
        return "not needed: CloudNativePG's own next try is under way"


class Recover(StepOf[Recovering]):
    key, title, phase = RECOVER, "Recover", Phase.KUBERNETES
    done_when = "CloudNativePG calls the Cluster healthy"
    _marked = False

    def detail(self) -> str:
        decision = self.op.decision
        return (
            f"Pulumi creates the Cluster {decision.cluster.name} from {decision.begins_from} and WAL up to "
            + ("the target" if decision.request.target else "its end")
            + (", which is fetched ahead" if decision.fetching and decision.fetching.ahead else "")
        )

    def undo(self) -> tuple[str, ...]:
        cluster, things = self.op.decision.cluster, [("cluster", self.op.decision.cluster.name)]
        if self.op.decision.fetching:
            things.append(("configmap", config_map_name(cluster.name)))
        kubectl = self.op.environment.commands.kubectl
        return tuple(
            kubectl("delete", kind, name, "--ignore-not-found", namespace=cluster.namespace) for kind, name in things
        )

    def run(self) -> str:
        op, cluster, fetching = self.op, self.op.decision.cluster, self.op.fetching
        overridden: list[str] = []
        judge = judge_by_guard(op.session, overridden.append)
        self._marked = fetching is not None
        if fetching:
            bring_program(op.session.api, cluster)
        op.context.stack.up(op.first_declaration, judge)
        op.wait.until_healthy(cluster.limit.total_seconds(), check=self._check)
        op.context.report_data.segments = op.wait.progress.segments
        if fetching:
            self._make_as_declared()
            op.context.stack.up(op.declaration, judge)
        created = op.wait.healthy.created
        op.cluster_seconds = (op.session.clock() - created).total_seconds()
        healthy = f"healthy {op.cluster_seconds:.1f} s after creation, {op.wait.replayed} replayed"
        return "; ".join([healthy, *overridden])

    def _check(self) -> None:
        """An engine that has ended before the Cluster is healthy has failed: its error is the cause, if it has one."""
        if not self.op.context.stack.running:
            self.op.context.stack.result()
        if self.op.wait.progress.has_begun:
            self._make_as_declared()

    def _make_as_declared(self) -> None:
        """Once, when the pod that recovers has the program: the instance has to start without.

        The ConfigMap stays until the end: the kubelet would take the file out of the pod that runs, and CloudNativePG's
        next try begins with a pod that does not have it yet.
        """
        if self._marked:
            make_as_declared(self.op.session.api, self.op.decision.cluster)
            self._marked = False


class Verify(StepOf[Recovering]):
    key, title, phase = "verify", "Verify", Phase.VERIFICATION
    done_when = "every question was answered as it should be"

    def detail(self) -> str:
        request = self.op.decision.request
        return ", ".join(
            [
                *(query.name for query in self.op.environment.verification),
                *([str(request.expects)] if request.expects else []),
                "out of recovery",
                "stopped at the target" if request.target else "the end of the WAL reached",
                "archiving",
            ]
        )

    def run(self) -> str:
        op, cluster, request = self.op, self.op.decision.cluster, self.op.decision.request
        psql = psql_of(op.session.api, op.wait.healthy, op.decision.source.database)
        drop = request.drop
        last_kept = drop.kept.time if drop and drop.kept else None
        op.findings = [
            *self._ask_database(psql),
            *([verify_table(psql, expects)] if (expects := request.expects) else []),
            verify_end(psql, op.record.promise(cluster.name), request.target),
            verify_last_commit(op.wait.progress.last_commit, request.target, last_kept),
            self._await_archiving(),
        ]
        missed = self._missed()
        self._tell_of(psql, primary_of(op.session.api, op.wait.healthy))
        judge(op.findings, op.environment.commands)
        (next_transaction,) = psql.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        op.session.records.change(
            lambda record: record.with_verified(cluster.name, int(next_transaction)), now=op.session.clock()
        )
        return "; ".join([", ".join(f"{finding.name} {finding.value}" for finding in op.findings), *missed])

    def _missed(self) -> list[str]:
        """What was committed in the source after its WAL was sealed, in words: who wrote it was stopped by no step."""
        source, made, report_data = self.op.decision.source, self.op.wait.healthy, self.op.context.report_data
        if self.op.decision.request.target is not None or not source.uid:
            return []
        found = left_behind(self.op.session.api, source, made, ())
        if found is None:
            return [f"what was committed in {source.name} since could not be counted"]
        if found.count:
            report_data.lost.append(f"{found} in {source.name}")
        return [f"{source.name} has {found} since"] if found.count or not found.complete else []

    def _tell_of(self, psql: Psql, pod: str) -> None:
        """What the report has besides the findings."""
        op, decision, report_data = self.op, self.op.decision, self.op.context.report_data
        last = op.wait.progress.last_commit
        report_data.found_all((finding.name, finding.value, finding.passed) for finding in op.findings)
        if decision.request.target is None:
            acknowledged = last_acknowledged(op.session.api, decision.source) if decision.source.uid else None
            report_data.loss = loss_at_the_end(last, acknowledged, base_end=decision.base.end)
        else:
            report_data.loss = loss_by_target(last, decision.commits_after_target)
            report_data.lost += lost_by_target(decision.request.target, decision.commits_after_target)
        report_data.kept += [f"{decision.source.name} as it is, with all that it has"] if decision.source.uid else []
        # Told when nobody waits any more.
        op.versions = lambda: read_versions(op.session.api, psql, namespace=decision.cluster.namespace, pod=pod)

    def _ask_database(self, psql: Psql) -> list[VerificationResult]:
        """The answers of the database, whose pod may be lost just when it is healthy: CloudNativePG recreates it."""
        deadline = time.monotonic() + _LOST_SECONDS
        while True:
            try:
                return verify_database(psql, self.op.environment)
            except AccessError as error:
                if error.code not in _LOST or time.monotonic() > deadline or self.op.session.stop.is_set():
                    raise
            self.op.wait.look()

    def _await_archiving(self) -> VerificationResult:
        """CloudNativePG sets the condition once the first WAL of the new timeline is archived, a little after
        healthy.
        """
        wait = self.op.wait
        deadline = time.monotonic() + _ARCHIVING_SECONDS
        while time.monotonic() < deadline and not self.op.session.stop.is_set():
            if wait.seen is not None and wait.seen.archiving.working is not None:
                break
            wait.look()
        archiving = wait.seen.archiving if wait.seen else None
        working = archiving is not None and archiving.working is True
        said = archiving.message if archiving and archiving.message else "not reported"
        return VerificationResult(name="archiving", value="yes" if working else said, passed=working)


class WaitForPulumi(StepOf[Recovering]):
    key, title, phase = "settle", "Wait for Pulumi", Phase.ENGINE
    done_when = "Pulumi has ended"

    def detail(self) -> str:
        return "Pulumi writes its state"

    def run(self) -> str:
        op, cluster = self.op, self.op.decision.cluster
        op.context.report_data.versions |= {**op.versions(), **op.context.stack.versions}
        op.context.stack.result(_SETTLE_SECONDS)
        remove_program(op.session.api, cluster.namespace, cluster.name)
        check_stopped(op.session, op.decision.workloads)
        return "the recovery stack is up to date"
