"""The scratch Cluster: recovered, watched while it is, and deleted.

The watch and the fold over it are those of any recovery; only nobody but CloudNativePG has a hand in it, as no Pulumi
runs beside.
"""

import time

from dr.clients import cnpg
from dr.clients.recovery_watch import RecoveryWatch
from dr.clients.scratch import delete_scratch, make_scratch
from dr.clients.volumes import volume_refusal
from dr.model.cluster import ClusterSnapshot
from dr.model.errors import InterruptedOperationError, RecoveryError
from dr.model.extraction import ExtractDecision
from dr.model.progress import RecoveryProgress, Stage, WarningSeen
from dr.operations.operation import Tools

_TICK_SECONDS = 0.5
_SILENCE_SECONDS = 10
_GONE_SECONDS = 180
_OTHER_REMEDIES = {
    "recovery-target-not-reached": "repeat the command without --skip-seal, so that a commit after the target is "
    "archived first; if the source is dead, choose an earlier --target-time",
}
"""Where the one for a recovery that is to stay names options that an extraction has not."""


class Scratch:
    """The scratch Cluster of one extraction."""

    def __init__(self, tools: Tools, decision: ExtractDecision) -> None:
        self._tools = tools
        self._session = tools.session
        self._decision = decision
        self._name = decision.scratch_name
        self._namespace = decision.source.namespace
        self._progress = RecoveryProgress()
        self._seen: ClusterSnapshot | None = None
        self._asked_about_volumes = False

    def recover(self) -> ClusterSnapshot:
        """Make it, where it is not there, and wait until it is healthy. Raises RecoveryError, AccessError."""
        session, api = self._session, self._session.api
        limit = session.environment.timeouts.recovery.total_seconds()
        if self._decision.clears:
            cnpg.delete_given_up(api, self._namespace, self._name, limit=_GONE_SECONDS, stop=session.stop)
        with RecoveryWatch(api, self._namespace, self._name, since=session.clock()) as watch:
            make_scratch(api, self._decision.scratch, limit=_GONE_SECONDS, stop=session.stop)
            begin = time.monotonic()
            while self._progress.stage is not Stage.HEALTHY or self._seen is None:
                elapsed = time.monotonic() - begin
                self._look(watch)
                if elapsed > _SILENCE_SECONDS:
                    self._ask_about_volumes()
                self._tools.reporter.recovery(self._progress, elapsed=elapsed, limit=limit)
                self._give_up_if_hopeless(elapsed, limit)
        return self._seen

    def find(self) -> ClusterSnapshot | None:
        """It as it is now, or None."""
        return cnpg.find_cluster(self._session.api, self._namespace, self._name)

    def remove(self) -> str:
        """Delete it, and see that nothing of it is left."""
        deleted = delete_scratch(
            self._session.api, self._namespace, self._name, limit=_GONE_SECONDS, stop=self._session.stop
        )
        return f"{self._name} is gone, with volume and Secrets" if deleted else f"{self._name} was gone"

    @property
    def replayed(self) -> str:
        """How much WAL was replayed, for people."""
        return f"{self._progress.segments} WAL segments" if self._progress.segments else "WAL"

    def _look(self, watch: RecoveryWatch) -> None:
        seen = watch.next(_TICK_SECONDS)
        while seen is not None:
            self._progress = self._progress.after(seen)
            if isinstance(seen, ClusterSnapshot):
                self._seen = seen
            seen = watch.next(0)

    def _ask_about_volumes(self) -> None:
        """Once: CloudNativePG tells nobody of a refused volume."""
        if self._progress.stage is not Stage.CREATING or self._asked_about_volumes or self._seen is None:
            return
        self._asked_about_volumes = True
        if refusal := volume_refusal(self._session.api, self._seen):
            warning = WarningSeen(about=self._name, reason="ProvisioningFailed", message=refusal)
            self._progress = self._progress.after(warning)

    def _give_up_if_hopeless(self, elapsed: float, limit: float) -> None:
        progress = self._progress
        if self._session.stop.is_set():
            raise InterruptedOperationError(
                "interrupted",
                f"stopped while {progress.stage}; CloudNativePG goes on with the scratch Cluster by itself",
                "go on, or undo what was done; see below",
            )
        failure = progress.failure
        remedy = _OTHER_REMEDIES.get(failure.code, failure.remedy) if failure else ""
        if failure and failure.final:
            raise RecoveryError(failure.code, failure.cause, remedy)
        if elapsed > limit:
            held_up = f", waiting: {progress.waiting_for}" if progress.waiting_for else ""
            raise RecoveryError(
                failure.code if failure else "recovery-timeout",
                f"the scratch Cluster is not healthy within {limit:.0f} s; it was {progress.stage}{held_up}",
                remedy or "see what it waits for; repeat the command to go on",
            )
