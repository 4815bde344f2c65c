"""Point-in-time recovery: a new Cluster beside the broken one, with the data as it was at the target.

The source is never touched, but for one harmless commit that seals its WAL. Traffic is not moved here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from dr.archive.promise import Promise
from dr.before_drop.search import find_drop
from dr.cnpg import clusters as cnpg
from dr.cnpg.cluster import cluster_behind
from dr.cnpg.cluster_copies import keep_copy
from dr.cnpg.fetch_ahead import with_program
from dr.cnpg.fetch_ahead_program import bring_program, make_as_declared, remove_program
from dr.cnpg.instance import last_acknowledged, read_versions
from dr.cnpg.recovered import app_secret_name
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.config.environment import Rule
from dr.core.errors import AccessError
from dr.core.target import AUTO, RecoveryTarget
from dr.gitops.argocd_pause import pause
from dr.guard.check import judge as judge_by_guard
from dr.kube import workloads
from dr.postgres.psql import Psql
from dr.postgres.table_argument import TableName
from dr.recovery.observe import observe, read_manifest
from dr.recovery.plan import RecoveryDecision, decide_recovery
from dr.recovery.report import RecoveryReport
from dr.recovery.sealing import seal_source
from dr.recovery.situation import RecoveryRequest
from dr.recovery.verify import (
    Finding,
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
from dr.run.operation import Course, Tools, run_operation
from dr.run.record import Record, recovered_name, source_of
from dr.run.session import Session
from dr.stacks.declaration import Declaration
from dr.traffic.writers import check_stopped, hold, stop_writers

_ARCHIVING_SECONDS = 60
_SETTLE_SECONDS = 120
_CLEAR_SECONDS = 120
_LOST_SECONDS = 90
_LOST = {"not-found", "api-error", "api-unreachable", "container-not-running", "exec-failed", "sql-failed"}
"""How a question fails whose pod, or container, or server is on its way out or in."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
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


def decide(session: Session, wanted: Wanted) -> RecoveryDecision:
    """Look, and decide. Changes nothing. Raises RequestError, RefusedError or AccessError."""
    request = _request(session, wanted)
    if wanted.before_drop is not None:
        drop = find_drop(session, request.source, wanted.before_drop)
        request = replace(request, target=drop.target, drop=drop, expects=drop.called or wanted.before_drop)
    return decide_recovery(session.environment, request, observe(session, request))


def _request(session: Session, wanted: Wanted) -> RecoveryRequest:
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


class Recovery:
    """One recovery that was agreed to."""

    def __init__(self, tools: Tools, decision: RecoveryDecision) -> None:
        self._tools = tools
        self._session = tools.session
        self._stack = tools.stack
        self._decision = decision
        self._findings: list[Finding] = []
        self._cluster_seconds = 0.0
        self._versions: Callable[[], dict[str, str]] = dict
        self._fetching = decision.fetching
        self._marked = self._fetching is not None
        self._watch = RecoveryWatch(
            self._session.api, decision.cluster.namespace, decision.cluster.name, since=self._session.clock()
        )
        self._wait = RecoveryWait(
            self._session,
            tools.reporter,
            self._watch,
            what="the Cluster",
            at_limit="see what it waits for; timeouts.recoveryMinutes is the limit, --continue goes on",
            evidence=tools.evidence,
        )

    def run(self) -> RecoveryReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        session, decision = self._session, self._decision
        doing: dict[str, Callable[[], str]] = {
            "remember": self._remember,
            "pause-argocd": lambda: pause(session, decision.argocd),
            "hold": lambda: hold(session, decision.self_starters),
            "stop-writers": lambda: stop_writers(session, decision.workloads),
            "seal-wal": self._seal_wal,
            "credentials": self._credentials,
            "clear": self._clear,
            "recover": self._recover,
            "verify": self._verify,
            "settle": self._settle,
        }

        def report(course: Course) -> RecoveryReport:
            return RecoveryReport(
                decision=decision,
                environment=session.environment,
                started=course.started,
                seconds=course.seconds,
                cluster_seconds=self._cluster_seconds,
                steps=course.steps,
                findings=tuple((finding.name, finding.value, finding.passed) for finding in self._findings),
                journal=course.journal,
            )

        self._tools.evidence.begins_from(decision.base, decision.source, until="verify")
        with self._watch:
            go_on = decision.request.command(session.environment, go_on=True)
            return run_operation(self._tools, decision.plan, doing, go_on=go_on, report=report)

    def _remember(self) -> str:
        decision = self._decision
        counts = {workload.name: workload.replicas for workload in decision.workloads}

        def change(record: Record) -> Record:
            return self._promised(record.with_replicas(counts).with_recovery(decision.cluster), decision.promise)

        self._record = self._session.records.change(change, now=self._session.clock())
        self._stack.foresee(self._first_declaration)
        self._keep_copy()
        return ", ".join(f"{name} {self._record.replicas.get(name, count)}" for name, count in counts.items())

    @property
    def _declaration(self) -> Declaration:
        return self._record.declaration({*self._decision.present, self._decision.cluster.name})

    @property
    def _first_declaration(self) -> Declaration:
        """What is declared first: where a program fetches WAL, the Cluster as it is while it recovers."""
        if self._fetching is None:
            return self._declaration
        return self._declaration.with_cluster(with_program(self._decision.cluster, self._fetching))

    def _keep_copy(self) -> None:
        """Keep how the source runs beside its backups. Who may only read the bucket can recover all the same."""
        source = self._decision.source
        if source.uid:
            with suppress(AccessError):
                keep_copy(self._session.environment.backup, source, self._session.clock())

    def _seal_wal(self) -> str:
        sealed = seal_source(self._session, self._tools.reporter, self._decision.source)
        if self._decision.request.target is None and not self._decision.broken_off:
            self._record = self._session.records.change(
                lambda record: self._promised(record, sealed.end), now=self._session.clock()
            )
        return f"{sealed.segment} archived"

    def _promised(self, record: Record, promise: Promise | None) -> Record:
        """Where the recovery has to end is kept as it was when it began: it may not know of what was sealed since."""
        return record if self._decision.begun else record.with_promise(self._decision.cluster.name, promise)

    def _credentials(self) -> str:
        source, name = self._decision.source, app_secret_name(self._decision.cluster.name)
        made = workloads.copy_credentials(self._session.api, source.namespace, source=source.app_secret, name=name)
        return f"Secret {name} {'made' if made else 'was there'}"

    def _clear(self) -> str:
        cluster = self._decision.cluster
        deleted = cnpg.delete_given_up(
            self._session.api, cluster.namespace, cluster.name, limit=_CLEAR_SECONDS, stop=self._session.stop
        )
        if deleted:
            return f"Cluster {cluster.name} is gone"
        # It fetches WAL as it has begun to.
        self._fetching, self._marked = None, False
        return "not needed: CloudNativePG's own next try is under way"

    def _recover(self) -> str:
        cluster, fetching = self._decision.cluster, self._fetching
        overridden: list[str] = []
        judge = judge_by_guard(self._session, overridden.append)
        if fetching:
            bring_program(self._session.api, cluster)
        self._stack.up(self._first_declaration, judge)
        self._wait.until_healthy(cluster.limit.total_seconds(), check=self._check)
        self._tools.evidence.segments = self._wait.progress.segments
        if fetching:
            self._make_as_declared()
            self._stack.up(self._declaration, judge)
        created = self._wait.healthy.created
        self._cluster_seconds = (self._session.clock() - created).total_seconds()
        healthy = f"healthy {self._cluster_seconds:.1f} s after creation, {self._wait.replayed} replayed"
        return "; ".join([healthy, *overridden])

    def _check(self) -> None:
        """An engine that has ended before the Cluster is healthy has failed: its error is the cause, if it has one."""
        if not self._stack.running:
            self._stack.result()
        if self._wait.progress.has_begun:
            self._make_as_declared()

    def _make_as_declared(self) -> None:
        """Once, when the pod that recovers has the program: the instance has to start without.

        The ConfigMap stays until the end: the kubelet would take the file out of the pod that runs, and CloudNativePG's
        next try begins with a pod that does not have it yet.
        """
        if self._marked:
            make_as_declared(self._session.api, self._decision.cluster)
            self._marked = False

    def _verify(self) -> str:
        cluster = self._decision.cluster
        primary = (self._wait.seen.primary if self._wait.seen else None) or f"{cluster.name}-1"
        psql = Psql(
            self._session.api, namespace=cluster.namespace, pod=primary, database=self._decision.source.database
        )
        drop = self._decision.request.drop
        last_kept = drop.kept.time if drop and drop.kept else None
        self._findings = [
            *self._ask_database(psql),
            *([verify_table(psql, expects)] if (expects := self._decision.request.expects) else []),
            verify_end(psql, self._record.promise(cluster.name), self._decision.request.target),
            verify_last_commit(self._wait.progress.last_commit, self._decision.request.target, last_kept),
            self._await_archiving(),
        ]
        self._tell_of(psql, primary)
        judge(self._findings)
        (next_transaction,) = psql.ask("SELECT pg_snapshot_xmax(pg_current_snapshot())")
        self._session.records.change(
            lambda record: record.with_verified(cluster.name, int(next_transaction)), now=self._session.clock()
        )
        return ", ".join(f"{finding.name} {finding.value}" for finding in self._findings)

    def _tell_of(self, psql: Psql, pod: str) -> None:
        """What the report has beside the findings."""
        evidence, decision, last = self._tools.evidence, self._decision, self._wait.progress.last_commit
        evidence.found_all((finding.name, finding.value, finding.passed) for finding in self._findings)
        if decision.request.target is None:
            acknowledged = last_acknowledged(self._session.api, decision.source) if decision.source.uid else None
            evidence.loss = loss_at_the_end(last, acknowledged, base_end=decision.base.end)
        else:
            evidence.loss = loss_by_target(last, decision.later)
            evidence.lost += lost_by_target(decision.request.target, decision.later)
        evidence.kept += [f"{decision.source.name} as it is, with all that it has"] if decision.source.uid else []
        # Told when nobody waits any more.
        self._versions = lambda: read_versions(self._session.api, psql, namespace=decision.cluster.namespace, pod=pod)

    def _ask_database(self, psql: Psql) -> list[Finding]:
        """The answers of the database, whose pod may be lost just when it is healthy: CloudNativePG makes it anew."""
        deadline = time.monotonic() + _LOST_SECONDS
        while True:
            try:
                return verify_database(psql, self._session.environment)
            except AccessError as error:
                if error.code not in _LOST or time.monotonic() > deadline or self._session.stop.is_set():
                    raise
            self._wait.look()

    def _await_archiving(self) -> Finding:
        """CloudNativePG sets the condition once the first WAL of the new timeline is archived, a little after
        healthy.
        """
        deadline = time.monotonic() + _ARCHIVING_SECONDS
        while time.monotonic() < deadline and not self._session.stop.is_set():
            if self._wait.seen is not None and self._wait.seen.archiving.working is not None:
                break
            self._wait.look()
        archiving = self._wait.seen.archiving if self._wait.seen else None
        working = archiving is not None and archiving.working is True
        said = archiving.message if archiving and archiving.message else "not reported"
        return Finding(name="archiving", value="yes" if working else said, passed=working)

    def _settle(self) -> str:
        self._tools.evidence.versions |= {**self._versions(), **self._stack.versions}
        self._stack.result(_SETTLE_SECONDS)
        remove_program(self._session.api, self._decision.cluster.namespace, self._decision.cluster.name)
        check_stopped(self._session, self._decision.workloads)
        return "the recovery stack is up to date"
