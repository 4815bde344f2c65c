"""The scratch Cluster: recovered, watched while it is, and deleted.

The watch and the fold over it are those of any recovery; only nobody but CloudNativePG has a hand in it, as no Pulumi
runs beside.
"""

from collections.abc import Mapping
from typing import Any

from dr.clients import cnpg
from dr.clients.recovery_watch import RecoveryWatch
from dr.clients.scratch import delete_scratch, make_scratch
from dr.model.cluster import ClusterSnapshot
from dr.model.progress import RecoveryProgress
from dr.operations.operation import Tools
from dr.operations.recovery_wait import RecoveryWait

_GONE_SECONDS = 180
_OTHER_REMEDIES = {
    "recovery-target-not-reached": "repeat the command without --skip-seal, so that a commit after the target is "
    "archived first; if the source is dead, choose an earlier --target-time",
}
"""Where the one for a recovery that is to stay names options that an extraction has not."""


class Scratch:
    """The scratch Cluster of one operation. ``clears`` says that the one of an earlier run failed for good."""

    def __init__(self, tools: Tools, manifest: Mapping[str, Any], *, clears: bool = False) -> None:
        self._tools = tools
        self._session = tools.session
        self._manifest = manifest
        self._clears = clears
        self._name = str(manifest["metadata"]["name"])
        self._namespace = str(manifest["metadata"]["namespace"])
        self.progress = RecoveryProgress()
        """What was seen of its recovery."""
        self.replayed = "WAL"
        """How much WAL was replayed, for people."""

    def recover(self) -> ClusterSnapshot:
        """Make it, where it is not there, and wait until it is healthy. Raises RecoveryError, AccessError."""
        session, api = self._session, self._session.api
        limit = session.environment.timeouts.recovery.total_seconds()
        if self._clears:
            cnpg.delete_given_up(api, self._namespace, self._name, limit=_GONE_SECONDS, stop=session.stop)
        with RecoveryWatch(api, self._namespace, self._name, since=session.clock()) as watch:
            make_scratch(api, self._manifest, limit=_GONE_SECONDS, stop=session.stop)
            wait = RecoveryWait(
                session,
                self._tools.reporter,
                watch,
                what="the scratch Cluster",
                at_limit="see what it waits for; repeat the command to go on",
                remedies=_OTHER_REMEDIES,
                evidence=self._tools.evidence,
            )
            self._tools.evidence.by_engine = False
            try:
                wait.until_healthy(limit)
            finally:
                self.progress, self.replayed = wait.progress, wait.replayed
                self._tools.evidence.segments = wait.progress.segments
        return wait.healthy

    def find(self) -> ClusterSnapshot | None:
        """It as it is now, or None."""
        return cnpg.find_cluster(self._session.api, self._namespace, self._name)

    def remove(self) -> str:
        """Delete it, and see that nothing of it is left."""
        deleted = delete_scratch(
            self._session.api, self._namespace, self._name, limit=_GONE_SECONDS, stop=self._session.stop
        )
        return f"{self._name} is gone, with volume and Secrets" if deleted else f"{self._name} was gone"
