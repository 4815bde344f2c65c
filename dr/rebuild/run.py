"""A full rebuild: from a bucket with backups to an application that answers, whatever is left of the rest.

Each step looks before it acts. So a second run finds nothing to do, and one that is resumed goes on where the first
stopped. Recovery and switchover are the very operations that are run by themselves on another day.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dr.archive.contents import BaseBackup
from dr.archive.reader import read_archives
from dr.archive.survivors import Survivor, survivors
from dr.cnpg.clusters import find_cluster
from dr.cnpg.progress import RecoveryProgress
from dr.config.stack_file import written
from dr.core.errors import AccessError, DrError, EngineError, RecoveryError, VerificationError
from dr.core.history import UNCHANGED
from dr.core.plan import Step
from dr.guard.rules import Seen
from dr.postgres.psql import Psql
from dr.rebuild.database import DatabaseFound, find_database, keep_file, wanted_from
from dr.rebuild.layers import Layer, Stage, Watch, bring_up
from dr.rebuild.observe import list_applications, missing_of_cnpg, root_application
from dr.rebuild.origin import Origin
from dr.rebuild.plan import RebuildDecision
from dr.rebuild.report import RebuildReport
from dr.recovery import run as recovery
from dr.recovery.verify import judge, verify_database
from dr.run.lease import held
from dr.run.operation import Tools
from dr.run.report_keeping import keep_report
from dr.run.runner import Action, Reporter, after_steps, run_actions
from dr.run.session import Session
from dr.switchover import run as switchover
from dr.switchover.plan import MoveRequest
from dr.traffic.name_check import await_ok

_API_SECONDS = 300
_OPERATOR_SECONDS = 900
_SMOKE_SECONDS = 120
_BACKUP_PATIENCE = 60
"""Seconds for a first base backup that waits for another Cluster's: one that was lost too cannot archive, and keeps
CloudNativePG's worker for 10 minutes, while the application answers already.
"""
_NOT_YET = {"api-unreachable", "token-expired", "forbidden", "api-error"}
"""How a control plane answers that has just been made, or whose IAM is not known everywhere yet."""


class Rebuild:
    """One full rebuild that was agreed to."""

    _found: DatabaseFound
    """What the step ``database`` has found."""

    def __init__(self, stage: Stage, decision: RebuildDecision) -> None:
        self._stage = stage
        self._decision = decision
        self._environment = stage.environment
        self._source: Survivor = decision.source
        self._served = ""
        self._smoke = ""
        self._told = WithTimeLeft(stage.reporter, decision)
        self._watch = Watch(stop=stage.stop, say=self._told.progress)

    def run(self) -> RebuildReport:
        """Do all steps. Raises a DrError whose ``stopped`` says how far it came; the engine is never left behind."""
        stage, decision = self._stage, self._decision
        doing: dict[str, Callable[[], str]] = {
            "survivors": self._look_at_survivors,
            "durable": lambda: self._bring_up(stage.layers.durable),
            "platform": lambda: self._bring_up(stage.layers.platform),
            "kubeconfig": self._connect,
            "argocd": self._bring_argocd,
            "operator": self._await_operator,
            "database": self._find_database,
            "recover": self._recover,
            "switchover": self._switch,
            "smoke-test": self._smoke_test,
        }
        go_on = decision.request.command(self._environment)
        started, begin = stage.clock(), time.monotonic()
        stage.evidence.until = decision.plan.steps[-1].key
        with held(stage.lease, stage.holder, take_over=stage.take_over, clock=stage.clock, stop=stage.stop):
            for layer in stage.layers.all:
                layer.claim(take_over=stage.take_over)
            stage.journal.begin(decision.plan, go_on, stage.clock())
            try:
                results = run_actions(
                    [Action(step=step, do=doing[step.key]) for step in decision.plan.steps],
                    reporter=self._told,
                    journal=stage.journal,
                    clock=stage.clock,
                    stop=stage.stop,
                    go_on=go_on,
                )
            except DrError as error:
                keep_report(self._environment, decision.plan, stage.journal, stage.evidence, error=error)
                raise
            with after_steps(results, stage.journal, go_on):
                report = RebuildReport(
                    environment=self._environment,
                    decision=decision,
                    started=started,
                    seconds=time.monotonic() - begin,
                    steps=tuple((result.step.key, result.seconds, result.fact) for result in results),
                    origin=self._found.judgement,
                    serving=self._served,
                    smoke=self._smoke,
                    journal=str(stage.journal.path),
                    stack_file=self._keep_stack_file(),
                )
                stage.journal.done(report.as_json(), stage.clock(), at_end=lambda record: record)
                keep_report(self._environment, decision.plan, stage.journal, stage.evidence, result=report.as_json())
                return report

    def _keep_stack_file(self) -> str:
        """The file of the platform's stack in another region, for Git: that stack is made of values of this run."""
        moved = self._stage.moved
        if moved is None:
            return ""
        note = f"The platform in {moved.region}, as {self._decision.request.command(self._environment)} has built it."
        return keep_file(f"Pulumi.{moved.name}.yaml", written(moved, note=note))

    def _look_at_survivors(self) -> str:
        """Again, as hours may lie between the plan and this, and another run in between."""
        found = survivors(read_archives(self._environment.backup))
        self._source = next((one for one in found if one.server_name == self._source.server_name), self._source)
        self._stage.evidence.base = self._source.window.backups[-1]
        return str(self._source)

    def _bring_up(self, layer: Layer) -> str:
        return bring_up(layer, Seen(), self._watch)

    def _connect(self) -> str:
        """Write the credentials, and wait until the API server takes them."""
        deadline = time.monotonic() + _API_SECONDS
        while True:
            session = self._stage.connect()
            try:
                session.api.ask("read the namespaces", session.api.core.list_namespace, limit=1)
            except AccessError as error:
                if error.code not in _NOT_YET or time.monotonic() > deadline or self._stage.stop.is_set():
                    raise
                self._watch.say(f"{error.cause}; asking again")
                self._stage.stop.wait(2)
            else:
                return f"{session.api.server} answers"

    def _session(self) -> Session:
        return self._stage.connect()

    def _bring_argocd(self) -> str:
        """Bring Argo CD where it is missing. The root Application is made last of it: where it is, all is.

        It is not looked at by Pulumi then: an operation may have paused it, and to have it as declared would let Argo
        CD put back what that operation has moved.
        """
        session, (namespace, name), layer = self._session(), self._stage.layers.root, self._stage.layers.argocd
        if root_application(session.api, namespace, name):
            return f"{UNCHANGED}: the Application {namespace}/{name} is there"
        if layer is None:
            raise EngineError(
                "argocd-not-configured",
                f"there is no Application {namespace}/{name}, and no stack is configured that would bring Argo CD",
                "add infrastructure.argocd to the environment's file, and Pulumi.argocd.yaml; docs/rebuild.md",
            )
        return bring_up(layer, Seen(), self._watch)

    def _await_operator(self) -> str:
        """Wait for CloudNativePG, telling how far Argo CD is with everything."""
        session = self._session()
        begin, told = time.monotonic(), ""
        while missing := missing_of_cnpg(session.api):
            applications = list_applications(session.api)
            settled = sum(one.settled for one in applications)
            busy = [f"{one.name} {one.sync}/{one.health}" for one in applications if not one.settled]
            told = (
                f"{settled} of {len(applications)} Applications are well; {', '.join(busy) or 'none is declared yet'}"
            )
            self._watch.say(f"waiting for {missing}: {told}")
            if time.monotonic() - begin > _OPERATOR_SECONDS:
                faults = [f"{one.name}: {one.message}" for one in applications if one.message]
                raise RecoveryError(
                    "operator-missing",
                    f"{missing} is not there {_OPERATOR_SECONDS} s after Argo CD: {'; '.join(faults) or told}",
                    "mend what Argo CD says (kubectl get applications -A), then python -m dr resume",
                )
            if self._stage.stop.wait(1):
                break
        return f"{UNCHANGED}: CloudNativePG is there" if not told else f"CloudNativePG is there; {told}"

    def _find_database(self) -> str:
        found = find_database(self._session(), self._source.archive, self._watch, known=self._stage.known)
        self._found = found
        evidence = self._stage.evidence
        for line in found.judgement.evidence:
            evidence.found("origin", line, None)
        kept = "; it is fenced, as its manifest skips the check of its archive" if found.fenced else ""
        if found.judgement.origin is Origin.RESTORED:
            return f"{UNCHANGED}: {found.cluster.name} is restored: {found.judgement.evidence[0]}"
        return f"{found.cluster.name} is {found.judgement.origin}: {found.judgement.evidence[0]}{kept}"

    def _recover(self) -> str:
        session, found = self._session(), self._found
        if found.judgement.origin is Origin.RESTORED:
            return self._verify_restored(session, found)
        if ready := self._recovered_before(session):
            self._served = ready
            return f"{UNCHANGED}: {ready} is recovered and verified"
        decided = recovery.decide(session, wanted_from(session, found.cluster, self._source))
        self._check_base(decided.base)
        report = recovery.Recovery(self._tools(session, "latest"), decided).run()
        self._served = decided.cluster.name
        self._stage.evidence.found_all(report.findings)
        return f"{decided.cluster.name} from {self._source.server_name} in {report.seconds:.1f} s"

    def _check_base(self, base: BaseBackup) -> None:
        """See that the base backup is the lost database's, and not one that a fresh Cluster has put beside it. Raises
        VerificationError ``archive-written``.
        """
        ours = {backup.system_id for backup in self._source.archive.backups} - {""}
        if base.system_id and ours and base.system_id not in ours:
            raise VerificationError(
                "archive-written",
                f"base backup {base.backup_id} of {self._source.server_name} is of another database (system identifier "
                f"{base.system_id}, the lost one's is {', '.join(sorted(ours))})",
                "a new Cluster has backed itself up into the lost one's archive: recover by hand, with --backup-id",
            )

    def _recovered_before(self, session: Session) -> str:
        """The Cluster that an earlier run of this rebuild has recovered and verified; empty without one.

        One that is older than the Cluster that Git brought up is of another day, and so are its data.
        """
        record = session.records.read()
        for name in reversed(tuple(record.verified)) if record else ():
            cluster = find_cluster(session.api, self._environment.namespace, name)
            if cluster and cluster.healthy and cluster.created >= self._found.cluster.created:
                return name
        return ""

    def _verify_restored(self, session: Session, found: DatabaseFound) -> str:
        cluster = found.cluster
        primary = cluster.primary or f"{cluster.name}-1"
        psql = Psql(session.api, namespace=cluster.namespace, pod=primary, database=cluster.database)
        findings = verify_database(psql, self._environment)
        judge(findings)
        self._served = cluster.name
        self._stage.evidence.found_all((one.name, one.value, one.passed) for one in findings)
        return f"{UNCHANGED}: {cluster.name} has its data: " + ", ".join(f"{one.name} {one.value}" for one in findings)

    def _switch(self) -> str:
        session = self._session()
        record = session.records.read()
        under_way = record.unfinished if record else None
        if self._found.cluster.name == self._served and not (under_way and under_way.operation == "switchover"):
            return f"{UNCHANGED}: {self._served} serves"
        # Hibernated, not only fenced: a base backup of it that waits for its archive would keep CloudNativePG's only
        # worker for Backups for 10 minutes, and the recovered Cluster's own would have to wait.
        decided = switchover.decide(session, MoveRequest(to=self._served, hibernate=True))
        move = switchover.Move(self._tools(session, "switchover"), decided, patience=_BACKUP_PATIENCE)
        report = move.run()
        backed_up = [fact for key, _, fact in report.steps if key == "back-up"]
        moved = f"{self._environment.service} points to {decided.host}, after {report.seconds:.1f} s"
        return "; ".join([moved, *backed_up])

    def _smoke_test(self) -> str:
        way = f"look at the application's log; python -m dr diagnose --env {self._environment.name}"
        url = self._environment.smoke_test_url or ""
        self._smoke = await_ok(url, limit=_SMOKE_SECONDS, stop=self._stage.stop, remedy=way)
        return self._smoke

    def _tools(self, session: Session, operation: str) -> Tools:
        """What an operation inside this one works with; what it tells is told as this one's progress."""
        stack, journal = self._stage.inner(session, operation)
        return Tools(session=session, stack=stack, journal=journal, reporter=Inside(self._told))


@dataclass
class WithTimeLeft:
    """Passes everything on, and says with each progress how long the whole will still take, as far as it is known."""

    reporter: Reporter
    decision: RebuildDecision
    _done: list[str] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic)
    _current: str = ""

    def step_started(self, step: Step) -> None:
        """``step`` begins."""
        self._current, self._begun = step.key, time.monotonic()
        self.reporter.step_started(step)

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        """``step`` has ended."""
        self._done.append(step.key)
        self.reporter.step_done(step, fact, seconds)

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        """Where a recovery stands."""
        self.reporter.recovery(progress, elapsed=elapsed, limit=limit)

    def progress(self, said: str) -> None:
        """What is going on, and what is left."""
        self.reporter.progress(f"{said} [{self._left()}]")

    def _left(self) -> str:
        estimate = self.decision.estimate
        of_this = max(0.0, estimate.seconds.get(self._current, 0.0) - (time.monotonic() - self._begun))
        rest = estimate.left_after([*self._done, self._current]).total_seconds() + of_this
        return f"about {rest / 60:.0f} min left" if rest >= 90 else f"about {rest:.0f} s left"


@dataclass(frozen=True)
class Inside:
    """Tells the steps of an operation inside this one as progress of the step that it is."""

    reporter: Reporter

    def step_started(self, step: Step) -> None:
        """A step of it begins."""
        self.reporter.progress(f"{step.title}: {step.detail}")

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        """A step of it has ended."""
        self.reporter.progress(f"{step.title}: {fact}, {seconds:.1f} s")

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        """Where a recovery stands."""
        self.reporter.recovery(progress, elapsed=elapsed, limit=limit)

    def progress(self, said: str) -> None:
        """What it is doing right now."""
        self.reporter.progress(said)
