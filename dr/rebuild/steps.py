"""The steps of a full rebuild, and what they share."""

import time
from abc import abstractmethod
from collections.abc import Iterator

from dr.archive.contents import BaseBackup
from dr.archive.promise import NOT_COMPARED
from dr.archive.reader import read_archives
from dr.archive.usable_archives import UsableArchive, usable_archives
from dr.cnpg.clusters import find_cluster
from dr.cnpg.primary import psql_of
from dr.core.errors import AccessError, EngineError, RecoveryError, VerificationError
from dr.core.history import UNCHANGED
from dr.core.plan import RECOVER, Phase, StepOf
from dr.guard.rules import Seen
from dr.rebuild.data_origin import Origin
from dr.rebuild.database import DatabaseFound, find_database, wanted_from
from dr.rebuild.layers import RebuildContext, Watch, bring_up
from dr.rebuild.observe import list_applications, missing_of_cnpg, root_application
from dr.rebuild.plan import OPERATION, RebuildDecision
from dr.rebuild.progress import NestedReporter
from dr.recovery import run as recovery
from dr.recovery.verify import judge, verify_database
from dr.run.operation import Operation, OperationContext
from dr.run.runner import Reporter
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


class Rebuilding(Operation):
    """What the steps share: where they are, what was decided, and what was found and done so far."""

    stage: RebuildContext
    told: Reporter
    watch: Watch
    found: DatabaseFound
    """What the step ``database`` has found."""

    def __init__(self, decision: RebuildDecision) -> None:
        self.decision = decision
        self.source: UsableArchive = decision.source
        self.served = ""
        self.smoke = ""
        super().__init__(OPERATION, decision)

    @abstractmethod
    def steps(self) -> Iterator["RebuildStep"]:
        """What it will do, in order."""

    def connected(self) -> Session:
        """A session on the cluster as it is by now."""
        return self.stage.connect()

    def tools_of(self, session: Session, operation: str) -> OperationContext:
        """What an operation inside this one works with; what it reports is shown as this one's progress."""
        stack, journal = self.stage.inner(session, operation)
        return OperationContext(session=session, stack=stack, journal=journal, reporter=NestedReporter(self.told))


class RebuildStep(StepOf[Rebuilding]):
    """A step of a rebuild, which says how long it takes."""

    @property
    @abstractmethod
    def experience(self) -> float:
        """Seconds that it takes on a platform that was never rebuilt: of GKE's, 5 to 8 minutes are the control plane's,
        the rest network, NAT and two node pools; the recovery's are the runbook's. docs/rebuild.md has the sum.
        """


class LookAtSurvivors(RebuildStep):
    key, title, phase, experience = "survivors", "Look at what survives", Phase.OTHER, 5
    done_when = "a base backup that can be used is there"

    def detail(self) -> str:
        bucket = self.op.environment.backup.bucket
        return f"the bucket {bucket} and the archive {self.op.decision.source.server_name} in it"

    def run(self) -> str:
        """Again, as hours may lie between the plan and this, and another run in between."""
        found = usable_archives(read_archives(self.op.stage.environment.backup))
        self.op.source = next((one for one in found if one.server_name == self.op.source.server_name), self.op.source)
        self.op.stage.report_data.base = self.op.source.window.backups[-1]
        return str(self.op.source)


class BringDurable(RebuildStep):
    key, title, phase, experience = "durable", "Durable stack", Phase.OTHER, 60
    done_when = "Pulumi has nothing left to change"

    def detail(self) -> str:
        return "bucket and backup account: what exists is adopted, never recreated"

    def run(self) -> str:
        return bring_up(self.op.stage.layers.durable, Seen(), self.op.watch)


class BringPlatform(RebuildStep):
    key, title, phase, experience = "platform", "Platform stack", Phase.OTHER, 15 * 60
    done_when = "Pulumi has nothing left to change"

    def detail(self) -> str:
        region = self.op.decision.request.region
        return f"network, GKE, node pools, Workload Identity{f' in {region}' if region else ''}"

    def run(self) -> str:
        return bring_up(self.op.stage.layers.platform, Seen(), self.op.watch)


class Connect(RebuildStep):
    key, title, phase, experience = "kubeconfig", "Credentials", Phase.OTHER, 5
    done_when = "its API server answers"

    def detail(self) -> str:
        return f"a kubeconfig with the context {self.op.environment.kubernetes.context} for the new cluster"

    def run(self) -> str:
        """Write the credentials, and wait until the API server takes them."""
        deadline = time.monotonic() + _API_SECONDS
        while True:
            session = self.op.stage.connect()
            try:
                session.api.ask("read the namespaces", session.api.core.list_namespace, limit=1)
            except AccessError as error:
                if error.code not in _NOT_YET or time.monotonic() > deadline or self.op.stage.stop.is_set():
                    raise
                self.op.watch.say(f"{error.cause}; asking again")
                self.op.stage.stop.wait(2)
            else:
                return f"{session.api.server} answers"


class BringArgoCd(RebuildStep):
    key, title, phase, experience = "argocd", "Argo CD", Phase.OTHER, 3 * 60
    done_when = "the root Application is there"

    def detail(self) -> str:
        return "its chart, the repository's credentials, and the root Application"

    def run(self) -> str:
        """Bring Argo CD where it is missing. The root Application is made last of it: where it is, all is.

        It is not looked at by Pulumi then: an operation may have paused it, and to have it as declared would let Argo
        CD put back what that operation has moved.
        """
        session, (namespace, name), layer = self.op.connected(), self.op.stage.layers.root, self.op.stage.layers.argocd
        if root_application(session.api, namespace, name):
            return f"{UNCHANGED}: the Application {namespace}/{name} is there"
        if layer is None:
            raise EngineError(
                "argocd-not-configured",
                f"there is no Application {namespace}/{name}, and no stack is configured that would bring Argo CD",
                "add infrastructure.argocd to the environment's file, and Pulumi.argocd.yaml; docs/rebuild.md",
            )
        return bring_up(layer, Seen(), self.op.watch)


class AwaitOperator(RebuildStep):
    key, title, phase, experience = "operator", "Operator", Phase.OTHER, 3 * 60
    done_when = "the CRD is established and the operator is available"

    def detail(self) -> str:
        return "Argo CD brings the platform's own applications; CloudNativePG's CRD and operator are waited for"

    def run(self) -> str:
        """Wait for CloudNativePG, telling how far Argo CD is with everything."""
        session = self.op.connected()
        begin, told = time.monotonic(), ""
        while missing := missing_of_cnpg(session.api):
            applications = list_applications(session.api)
            settled = sum(one.settled for one in applications)
            busy = [f"{one.name} {one.sync}/{one.health}" for one in applications if not one.settled]
            told = (
                f"{settled} of {len(applications)} Applications are well; {', '.join(busy) or 'none is declared yet'}"
            )
            self.op.watch.say(f"waiting for {missing}: {told}")
            if time.monotonic() - begin > _OPERATOR_SECONDS:
                faults = [f"{one.name}: {one.message}" for one in applications if one.message]
                say = session.environment.commands
                raise RecoveryError(
                    "operator-missing",
                    f"{missing} is not there {_OPERATOR_SECONDS} s after Argo CD: {'; '.join(faults) or told}",
                    f"fix what Argo CD reports ({say.kubectl('get', 'applications', '-A')}), then {say.dr('resume')}",
                )
            if self.op.stage.stop.wait(1):
                break
        return f"{UNCHANGED}: CloudNativePG is there" if not told else f"CloudNativePG is there; {told}"


class FindDatabase(RebuildStep):
    key, title, phase, experience = "database", "Database", Phase.OTHER, 3 * 60
    done_when = "it is known: restored, or bootstrapped fresh"

    def detail(self) -> str:
        return "the Cluster that Git declares, and whether its data are those of the backups"

    def run(self) -> str:
        found = find_database(self.op.connected(), self.op.source.archive, self.op.watch, known=self.op.stage.known)
        self.op.found = found
        report_data = self.op.stage.report_data
        for line in found.verdict.evidence:
            report_data.found("origin", line, None)
        kept = "; it is fenced, as its manifest skips the check of its archive" if found.fenced else ""
        if found.verdict.origin is Origin.RESTORED:
            return f"{UNCHANGED}: {found.cluster.name} is restored: {found.verdict.evidence[0]}"
        return f"{found.cluster.name} is {found.verdict.origin}: {found.verdict.evidence[0]}{kept}"


class Recover(RebuildStep):
    key, title, phase, experience = RECOVER, "Recover", Phase.KUBERNETES, 10 * 60
    done_when = "the recovered Cluster is verified"

    def detail(self) -> str:
        name = self.op.decision.source.server_name
        return f"as latest does, from the archive {name}; not if it is restored already"

    def run(self) -> str:
        session, found = self.op.connected(), self.op.found
        if found.verdict.origin is Origin.RESTORED:
            return self._verify_restored(session, found)
        if ready := self._recovered_before(session):
            self.op.served = ready
            return f"{UNCHANGED}: {ready} is recovered and verified{self._not_compared(session, ready)}"
        decided = recovery.decide(session, wanted_from(session, found.cluster, self.op.source))
        self._check_base(decided.base)
        report = recovery.Recovery(decided).run(self.op.tools_of(session, "latest"))
        self.op.served = decided.cluster.name
        self.op.stage.report_data.found_all(report.findings)
        told = "" if report.compared else f"; {NOT_COMPARED}"
        return f"{decided.cluster.name} from {self.op.source.server_name} in {report.seconds:.1f} s{told}"

    def _check_base(self, base: BaseBackup) -> None:
        """See that the base backup is the lost database's, and not one that a fresh Cluster has put next to it. Raises
        VerificationError ``archive-written``.
        """
        ours = {backup.system_id for backup in self.op.source.archive.backups} - {""}
        if base.system_id and ours and base.system_id not in ours:
            raise VerificationError(
                "archive-written",
                f"base backup {base.backup_id} of {self.op.source.server_name} is of another database (system "
                f"identifier {base.system_id}, the lost one's is {', '.join(sorted(ours))})",
                "a new Cluster has backed itself up into the lost one's archive: recover by hand, with --backup-id",
            )

    def _recovered_before(self, session: Session) -> str:
        """The Cluster that an earlier run of this rebuild has recovered and verified; empty without one.

        One that is older than the Cluster that Git brought up is of another day, and so are its data.
        """
        record = session.records.read()
        for name in reversed(tuple(record.verified)) if record else ():
            cluster = find_cluster(session.api, self.op.stage.environment.namespace, name)
            if cluster and cluster.healthy and cluster.created >= self.op.found.cluster.created:
                return name
        return ""

    @staticmethod
    def _not_compared(session: Session, name: str) -> str:
        record = session.records.read()
        return "" if record is None or record.is_compared(name) else f"; {NOT_COMPARED}"

    def _verify_restored(self, session: Session, found: DatabaseFound) -> str:
        cluster = found.cluster
        psql = psql_of(session.api, cluster)
        findings = verify_database(psql, self.op.stage.environment)
        judge(findings, session.environment.commands)
        self.op.served = cluster.name
        self.op.stage.report_data.found_all((one.name, one.value, one.passed) for one in findings)
        return f"{UNCHANGED}: {cluster.name} has its data: " + ", ".join(f"{one.name} {one.value}" for one in findings)


class Switchover(RebuildStep):
    key, title, phase, experience = "switchover", "Switchover", Phase.OTHER, 2 * 60
    done_when = "the Service points to the recovered Cluster"

    def detail(self) -> str:
        return "as switchover does"

    def undo(self) -> tuple[str, ...]:
        return (self.op.environment.commands.dr("rollback"),)

    def run(self) -> str:
        session = self.op.connected()
        record = session.records.read()
        under_way = record.unfinished if record else None
        if self.op.found.cluster.name == self.op.served and not (under_way and under_way.operation == "switchover"):
            return f"{UNCHANGED}: {self.op.served} serves"
        # Hibernated, not only fenced: a base backup of it that waits for its archive would keep CloudNativePG's only
        # worker for Backups for 10 minutes, and the recovered Cluster's own would have to wait.
        decided = switchover.decide(session, MoveRequest(to=self.op.served, hibernate=True))
        report = switchover.Move(decided, patience=_BACKUP_PATIENCE).run(self.op.tools_of(session, "switchover"))
        backed_up = [fact for key, _, fact in report.steps if key == "back-up"]
        moved = f"{self.op.stage.environment.service} points to {decided.host}, after {report.seconds:.1f} s"
        return "; ".join([moved, *backed_up])


class SmokeTest(RebuildStep):
    key, title, phase, experience = "smoke-test", "Smoke test", Phase.TRAFFIC, 30
    done_when = "it does"

    def detail(self) -> str:
        return f"{self.op.environment.smoke_test_url} answers 200"

    def run(self) -> str:
        way = f"look at the application's log; {self.op.stage.environment.commands.dr('diagnose')}"
        url = self.op.stage.environment.smoke_test_url or ""
        self.op.smoke = await_ok(url, limit=_SMOKE_SECONDS, stop=self.op.stage.stop, remedy=way)
        return self.op.smoke
