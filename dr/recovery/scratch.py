"""The scratch Cluster: recovered, watched while it is, and deleted.

The watch and the fold over it are those of any recovery; only nobody but CloudNativePG has a hand in it, as no Pulumi
runs as well.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from threading import Event
from typing import Any, Protocol

from dr.archive.promise import Promise
from dr.cnpg import clusters as cnpg
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.fetch_ahead import Fetching, with_program
from dr.cnpg.fetch_ahead_program import bring_program, make_as_declared, remove_program
from dr.cnpg.progress import RecoveryProgress
from dr.cnpg.recovered import RecoveredCluster
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.cnpg.scratches import check_unserved, delete_scratch, make_scratch
from dr.config.names import EXTRACTION, Purpose
from dr.core.errors import VerificationError
from dr.core.plan import Phase, StepOf
from dr.core.target import RecoveryTarget
from dr.postgres.psql import Psql
from dr.recovery.verify import verify_end
from dr.recovery.wait import RecoveryWait
from dr.run.report_keeping import ReportData
from dr.run.runner import Reporter
from dr.run.session import Session

_GONE_SECONDS = 180
_OTHER_REMEDIES = {
    "recovery-target-not-reached": "repeat the command without --skip-seal, so that a commit after the target is "
    "archived first; if the source is dead, choose an earlier --target-time",
}
"""Where the one for a recovery that is to stay names options that an extraction has not."""


class Scratch:
    """The scratch Cluster of one operation. ``clears`` says that the one of an earlier run failed for good;
    ``fetching`` how WAL is fetched, as in a recovery that is to stay.
    """

    def __init__(
        self,
        session: Session,
        reporter: Reporter,
        report_data: ReportData,
        manifest: Mapping[str, Any],
        *,
        purpose: Purpose = EXTRACTION,
        clears: bool = False,
        fetching: Fetching | None = None,
    ) -> None:
        self._session = session
        self._reporter = reporter
        self._evidence = report_data
        self._manifest = manifest
        self._purpose = purpose
        self._clears = clears
        self._fetching = fetching
        self._marked = False
        self._name = str(manifest["metadata"]["name"])
        self._namespace = str(manifest["metadata"]["namespace"])
        self.progress = RecoveryProgress()
        """What was seen of its recovery."""
        self.replayed = "WAL"
        """How much WAL was replayed, for people."""

    def recover(self, check: Callable[[RecoveryProgress], None] = lambda _: None) -> ClusterSnapshot:
        """Make it, where it is not there, and wait until it is healthy. ``check`` is called at every look and may
        raise. Raises RecoveryError, AccessError.
        """
        session, api = self._session, self._session.api
        limit = session.environment.timeouts.recovery.total_seconds()
        if self._clears:
            cnpg.delete_given_up(api, self._namespace, self._name, limit=_GONE_SECONDS, stop=session.stop)
        with RecoveryWatch(api, self._namespace, self._name, since=session.clock()) as watch:
            manifest = self._manifest
            if self._fetching is not None:
                bring_program(api, self._declared)
                manifest = with_program(self._declared, self._fetching).manifest
                self._marked = True
            make_scratch(api, manifest, limit=_GONE_SECONDS, stop=session.stop)
            wait = RecoveryWait(
                session,
                self._reporter,
                watch,
                what="the scratch Cluster",
                at_limit="see what it waits for; repeat the command to continue",
                remedies=_OTHER_REMEDIES,
                report_data=self._evidence,
            )
            self._evidence.by_engine = False
            try:
                wait.until_healthy(limit, check=lambda: self._look(wait.progress, check))
            finally:
                self.progress, self.replayed = wait.progress, wait.replayed
                self._evidence.segments = wait.progress.segments
        remove_program(api, self._namespace, self._name)
        return wait.healthy

    def _look(self, progress: RecoveryProgress, check: Callable[[RecoveryProgress], None]) -> None:
        if self._marked and progress.has_begun:
            # Once, when the pod that recovers has it: the instance has to start without it.
            make_as_declared(self._session.api, self._declared)
            self._marked = False
        check(progress)

    @property
    def _declared(self) -> RecoveredCluster:
        return RecoveredCluster(manifest=self._manifest, limit=timedelta())

    def see_end(self, psql: Psql, promise: Promise | None, target: RecoveryTarget | None) -> None:
        """Raise VerificationError ``recovery-ended-early`` where it is not as it was at the target, once it is deleted.
        ``psql`` speaks to its primary.
        """
        ended = verify_end(psql, promise, target)
        if ended.passed is False:
            raise VerificationError(
                "recovery-ended-early",
                f"the scratch Cluster was recovered, but {ended.name} is {ended.value}; {self.remove()}",
                "nothing was taken from it. Repeat the command if the store failed for a while; "
                f"{self._session.environment.commands.dr('window')} shows what the archive has",
            )

    def find(self) -> ClusterSnapshot | None:
        """It as it is now, or None."""
        return cnpg.find_cluster(self._session.api, self._namespace, self._name)

    def remove(self, stop: Event | None = None) -> str:
        """Delete it, and see that nothing of it is left; ``stop`` in place of the session's, which may be set."""
        service = self._session.environment.service
        check_unserved(self._session.api, self._namespace, self._name, service)
        remove_program(self._session.api, self._namespace, self._name)
        deleted = delete_scratch(
            self._session.api,
            self._namespace,
            self._name,
            service=service,
            limit=_GONE_SECONDS,
            stop=stop or self._session.stop,
            purpose=self._purpose,
        )
        return f"{self._name} is gone, with volume and Secrets" if deleted else f"{self._name} was gone"


class HasScratch(Protocol):
    """An operation with a scratch Cluster."""

    scratch: Scratch


class RemoveScratch(StepOf[HasScratch]):
    """``name`` is the scratch Cluster's."""

    key, title, phase = "remove-scratch", "Tidy up", Phase.CLEAN_UP
    done_when = "nothing that it owned is left"

    def __init__(self, op: HasScratch, name: str) -> None:
        super().__init__(op)
        self._name = name

    def detail(self) -> str:
        return f"delete the scratch Cluster {self._name}, with its volume and Secrets"

    def run(self) -> str:
        return self.op.scratch.remove()
