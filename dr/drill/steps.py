"""The steps of a drill, and what they share."""

import time
from contextlib import suppress
from datetime import datetime

from dr.archive.promise import END_OF_WAL, is_compared
from dr.archive.reader import list_server_names
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import find_cluster
from dr.cnpg.fetch_ahead_program import remove_program
from dr.cnpg.instance import last_acknowledged, read_versions
from dr.cnpg.primary import primary_of, psql_of
from dr.cnpg.progress import RecoveryProgress, Stage
from dr.cnpg.scratches import check_unserved, delete_scratch
from dr.config.names import DRILL
from dr.core.errors import AccessError, RecoveryError, VerificationError
from dr.core.plan import RECOVER, Phase, StepOf
from dr.core.target import time_of
from dr.drill.examination import Examination
from dr.drill.plan import OPERATION, DrillDecision
from dr.kube.workloads import external_name
from dr.postgres.psql import Psql
from dr.recovery.scratch import Scratch
from dr.recovery.verify import (
    VerificationResult,
    loss_at_the_end,
    loss_by_target,
    lost_by_target,
    verify_database,
    verify_end,
    verify_last_commit,
)
from dr.run.journal import Journal
from dr.run.operation import Operation
from dr.run.report_keeping import ReportData
from dr.run.runner import Reporter
from dr.run.session import Session

_GONE_SECONDS = 180
_ATTEMPTS = 2
"""After so many failed attempts a drill has found what it was for: CloudNativePG would retry for eleven minutes."""


class Trial(Operation):
    """What the steps share: what was decided, and what is known of the scratch Cluster."""

    journal: Journal
    reporter: Reporter
    report_data: ReportData
    scratch: Scratch

    def __init__(self, decision: DrillDecision) -> None:
        self.decision = decision
        self.seen: ClusterSnapshot | None = None
        self.acknowledged: datetime | None = None
        super().__init__(OPERATION, decision)

    def begin(self, *, session: Session, journal: Journal, reporter: Reporter, report_data: ReportData) -> None:
        """Take up what it is run with. Nothing is touched yet."""
        self.session, self.journal, self.reporter, self.report_data = session, journal, reporter, report_data
        decision = self.decision
        self.scratch = Scratch(
            session, reporter, report_data, decision.scratch, purpose=DRILL, fetching=decision.fetching
        )

    def found(self, findings: list[VerificationResult]) -> None:
        """More answers, for the report."""
        self.report_data.found_all((finding.name, finding.value, finding.passed) for finding in findings)

    @property
    def moment(self) -> datetime:
        """Up to when the scratch Cluster has everything that was committed."""
        target, last = self.decision.request.target, self.scratch.progress.last_commit
        return time_of(target) or last or self.decision.base.begin

    @property
    def scratch_seen(self) -> ClusterSnapshot:
        """The scratch Cluster as it is once it is recovered."""
        assert self.seen is not None, "the scratch Cluster is recovered first"  # noqa: S101 - for the type checker
        return self.seen

    @property
    def psql(self) -> Psql:
        """To its database."""
        return psql_of(self.session.api, self.scratch_seen, self.decision.source.database)


class RemoveOrphans(StepOf[Trial]):
    key, title, phase = "orphans", "Delete leftover Clusters", Phase.PREPARATION
    done_when = "nothing that they owned is left"

    def detail(self) -> str:
        return f"what earlier drills have left: {', '.join(self.op.decision.orphans)}"

    def run(self) -> str:
        session, namespace = self.op.session, self.op.decision.source.namespace
        service = session.environment.service
        for name in self.op.decision.orphans:
            check_unserved(session.api, namespace, name, service)
            remove_program(session.api, namespace, name)
            delete_scratch(
                session.api,
                namespace,
                name,
                service=service,
                limit=_GONE_SECONDS,
                stop=session.stop,
                purpose=DRILL,
            )
        return f"{', '.join(self.op.decision.orphans)} gone"


class Recover(StepOf[Trial]):
    key, title, phase = RECOVER, "Recover", Phase.KUBERNETES
    done_when = "CloudNativePG calls the scratch Cluster healthy"
    _asked = False

    def detail(self) -> str:
        decision = self.op.decision
        return (
            f"the scratch Cluster {decision.scratch_name} from base backup {decision.base.backup_id} and WAL up to "
            + ("the target" if decision.request.target else "its end")
        )

    def undo(self) -> tuple[str, ...]:
        environment, name = self.op.environment, self.op.decision.scratch_name
        return (environment.commands.kubectl("delete", "cluster", name, namespace=environment.namespace),)

    def run(self) -> str:
        begin = time.monotonic()
        self.op.seen = self.op.scratch.recover(self._look_while_it_recovers)
        self._ask_what_was_acknowledged()
        return f"healthy after {time.monotonic() - begin:.1f} s, {self.op.scratch.replayed} replayed"

    def _look_while_it_recovers(self, progress: RecoveryProgress) -> None:
        failure = progress.failure
        if failure is not None and len(progress.failed_pods) >= _ATTEMPTS:
            remedy = self.op.environment.commands.fill(failure.remedy)
            raise RecoveryError(failure.code, f"{failure.cause}, {_ATTEMPTS} times", remedy)
        if progress.stage in {Stage.FINISHING, Stage.STARTING}:
            self._ask_what_was_acknowledged()

    def _ask_what_was_acknowledged(self) -> None:
        """Once, as soon as the WAL has come to its end: what the source has by then and the drill has not is lost."""
        if not self._asked:
            self._asked = True
            self.op.acknowledged = last_acknowledged(self.op.session.api, self.op.decision.source)


class Verify(StepOf[Trial]):
    key, title, phase = "verify", "Verify", Phase.VERIFICATION
    done_when = "every question was answered"

    def detail(self) -> str:
        queries = (query.name for query in self.op.environment.verification)
        return ", ".join([*queries, "out of recovery", "where the recovery ended"])

    def run(self) -> str:
        """What a recovery asks before traffic may come: with the answers its RTO ends. They are judged later, so that
        all is known of a drill that fails.
        """
        last, request = self.op.scratch.progress.last_commit, self.op.decision.request
        findings = [
            *verify_database(self.op.psql, self.op.session.environment),
            verify_end(self.op.psql, self.op.decision.promise, request.target),
            verify_last_commit(last, request.target),
        ]
        self.op.found(findings)
        if request.target is None:
            base_end = self.op.decision.base.end
            self.op.report_data.loss = loss_at_the_end(last, self.op.acknowledged, base_end=base_end)
        else:
            self.op.report_data.loss = loss_by_target(last, self.op.decision.commits_after_target)
            self.op.report_data.lost += lost_by_target(request.target, self.op.decision.commits_after_target)
        return ", ".join(f"{finding.name} {finding.value}" for finding in findings)


class Examine(StepOf[Trial]):
    key, title, phase = "examine", "Examine", Phase.VERIFICATION
    done_when = "nothing is missing or damaged"

    def detail(self) -> str:
        heavy = "" if self.op.decision.request.quick else ", every page and index (amcheck)"
        return f"rows against the live database, extensions, what was lost{heavy}, and that nothing else was touched"

    def run(self) -> str:
        """Raises VerificationError ``drill-failed`` for all that did not pass, here or before."""
        decision, session = self.op.decision, self.op.session
        live = find_cluster(session.api, decision.source.namespace, decision.source.name)
        examination = Examination(
            session,
            scratch=self.op.scratch_seen,
            live=live if live and live.primary else None,
            database=decision.source.database,
            moment=self.op.moment,
            told=self.op.reporter.progress,
        )
        with suppress(AccessError):
            self.op.report_data.database_bytes = examination.size()
        self.op.found([*examination.findings(quick=decision.request.quick), self._untouched(live)])
        pod = primary_of(session.api, self.op.scratch_seen)
        self.op.report_data.versions |= read_versions(
            session.api, self.op.psql, namespace=decision.source.namespace, pod=pod
        )
        failed = [finding for finding in self.op.report_data.findings if finding.passed is False]
        if failed:
            raise VerificationError(
                "drill-failed",
                "the recovery worked, but " + "; ".join(f"{finding.name}: {finding.value}" for finding in failed),
                "a disaster today would lose this: find out why, take a new base backup, and drill again",
            )
        in_order = f"{sum(finding.passed is True for finding in self.op.report_data.findings)} findings in order"
        compared = is_compared((finding.name, finding.passed) for finding in self.op.report_data.findings)
        return in_order if compared else f"{in_order}; not compared: {END_OF_WAL}"

    def _untouched(self, live: ClusterSnapshot | None) -> VerificationResult:
        """Whether the drill has kept to itself."""
        source, environment = self.op.decision.source, self.op.session.environment
        changed: list[str] = []
        if source.uid and (live is None or (live.uid, live.spec) != (source.uid, source.spec)):
            changed.append(f"the Cluster {source.name}")
        if (
            external_name(self.op.session.api, environment.namespace, environment.service)
            != self.op.decision.external_name
        ):
            changed.append(f"the Service {environment.service}")
        if more := list_server_names(environment.backup) - self.op.decision.server_names:
            changed.append(f"the bucket has {', '.join(sorted(more))}")
        value = f"while the drill ran, something changed: {', '.join(changed)}" if changed else "yes"
        # Somebody else may have changed it: that is for a person to judge.
        return VerificationResult(name="all else untouched", value=value, passed=None if changed else True)
