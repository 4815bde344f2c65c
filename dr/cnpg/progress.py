"""What a recovery is doing right now, folded from what is seen of it.

``Cluster.status`` says "Setting up primary" from the first second to the last, and hides a failing recovery for some 11
minutes (the Job's back-off). The truth is in the recovery pod: its phase, and the records it logs while barman fetches
the base backup and PostgreSQL replays WAL. This module turns those into one state; it neither waits nor looks.
"""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from dr.cnpg.cluster import PLUGIN_PHASES, UNRECOVERABLE_PHASE, ClusterSnapshot
from dr.core.commands import command_line


class Stage(StrEnum):
    """The stages of a recovery, in order."""

    CREATING = "creating the cluster"
    WAITING = "waiting for its volume and pod"
    BASE_BACKUP = "restoring the base backup"
    REPLAY = "replaying WAL"
    FINISHING = "finishing the recovery"
    STARTING = "starting the instance"
    HEALTHY = "healthy"


_ORDER = list(Stage)
_HOLDING_UP = {
    "FailedCreate",
    "FailedScheduling",
    "ProvisioningFailed",
    "FailedMount",
    "FailedAttachVolume",
    "FailedBinding",
}
"""Reasons of Kubernetes' own controllers for a pod or volume that does not come: quota, no node, no storage."""


@dataclass(frozen=True, kw_only=True)
class PodSeen:
    """A pod of the recovered Cluster. ``recovery`` tells the Job's pods from the instance's."""

    name: str
    recovery: bool
    phase: str
    waiting_for: str = ""


@dataclass(frozen=True, kw_only=True)
class LogSeen:
    """One line of a recovery pod's log, as it was written. ``stale`` says that the pod began before this run, so that
    it cannot know what this run has done for it (sealing the WAL).
    """

    pod: str
    line: str
    stale: bool = False


@dataclass(frozen=True, kw_only=True)
class WarningSeen:
    """A Kubernetes event of type Warning about the recovered Cluster or one of its parts."""

    about: str
    reason: str
    message: str


Observation = ClusterSnapshot | PodSeen | LogSeen | WarningSeen


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a recovery pod failed. ``final`` says that another attempt would fail the same way. The remedy has places for
    commands, see CommandLines.fill.
    """

    code: str
    cause: str
    remedy: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class RecoveryProgress:
    """The state of one recovery. ``segments`` counts WAL segments replayed; ``attempt`` starts at 1.

    ``restored_in`` are the pods that were seen to begin with a base backup: a pod may have two logs, in any order.
    """

    stage: Stage = Stage.CREATING
    attempt: int = 1
    wal: str = ""
    segments: int = 0
    last_commit: datetime | None = None
    waiting_for: str = ""
    failed_pods: frozenset[str] = frozenset()
    restored_in: frozenset[str] = frozenset()
    failure: Failure | None = None

    @property
    def has_begun(self) -> bool:
        """Whether the pod that recovers has been seen at work."""
        return _ORDER.index(self.stage) >= _ORDER.index(Stage.BASE_BACKUP)

    def after(self, seen: Observation) -> "RecoveryProgress":
        """The state after ``seen``. Observations may come late, twice, or out of order between sources."""
        match seen:
            case ClusterSnapshot():
                return self._after_cluster(seen)
            case PodSeen():
                return self._after_pod(seen)
            case LogSeen():
                return self._after_log(seen)
            case WarningSeen():
                return self._after_warning(seen)

    def _at_least(self, stage: Stage) -> Stage:
        return max(self.stage, stage, key=_ORDER.index)

    def _after_cluster(self, cluster: ClusterSnapshot) -> "RecoveryProgress":
        if cluster.healthy:
            return replace(self, stage=Stage.HEALTHY, waiting_for="", failure=None)
        if cluster.phase == UNRECOVERABLE_PHASE:
            return replace(self, failure=replace(self.failure or _unexplained(cluster.phase_reason), final=True))
        if cluster.phase in PLUGIN_PHASES:
            return replace(self, stage=self._at_least(Stage.WAITING), failure=_plugin_unavailable(cluster.phase_reason))
        if self.failure is not None and self.failure.code == _PLUGIN_UNAVAILABLE:
            return replace(self, failure=None)
        return replace(self, stage=self._at_least(Stage.WAITING)) if cluster.phase else self

    def _after_pod(self, pod: PodSeen) -> "RecoveryProgress":
        if self.stage is Stage.HEALTHY:
            return self
        if not pod.recovery:
            return replace(self, stage=self._at_least(Stage.STARTING), waiting_for=pod.waiting_for)
        if pod.phase == "Failed":
            failed = self.failed_pods | {pod.name}
            return replace(self, failed_pods=failed, failure=self.failure or _unexplained(f"pod {pod.name} failed"))
        if pod.phase == "Pending":
            return replace(self, stage=self._at_least(Stage.WAITING), waiting_for=pod.waiting_for)
        if pod.phase == "Succeeded":
            return replace(self, stage=self._at_least(Stage.STARTING), waiting_for="", failure=None)
        return replace(self, attempt=len(self.failed_pods - {pod.name}) + 1, waiting_for="")

    def _after_warning(self, warning: WarningSeen) -> "RecoveryProgress":
        """Only what holds a recovery up before its pod runs; later warnings are the probes of a starting server."""
        if warning.reason in _HOLDING_UP and self.stage in {Stage.CREATING, Stage.WAITING}:
            return replace(self, waiting_for=f"{warning.about}: {warning.message}")
        return self

    def _after_log(self, log: LogSeen) -> "RecoveryProgress":
        message = message_of(log.line)
        if self.stage is Stage.HEALTHY:
            # The log of a recovery that is over can arrive after the Cluster was seen healthy.
            return self._with_last_commit(message)
        if found := _SLOW.search(message):
            return replace(self, waiting_for=found[1])
        if failure := explain(message):
            failure = replace(failure, final=failure.final and not log.stale)
            return replace(self, failure=failure, waiting_for="")
        if message.startswith("Starting barman-cloud-restore"):
            if log.pod in self.restored_in:
                return self
            # A new attempt begins from nothing.
            restored_in = self.restored_in | {log.pod}
            begun = replace(self, stage=Stage.BASE_BACKUP, wal="", segments=0, waiting_for="", failure=None)
            return replace(begun, restored_in=restored_in)
        if message.startswith("Recovering from volume snapshot"):
            return replace(self, stage=Stage.REPLAY, wal="", segments=0, failure=None)
        if message.startswith("Restore completed"):
            return replace(self, stage=self._at_least(Stage.REPLAY))
        if found := re.match(r'restored log file "([0-9A-F]{24})" from archive', message):
            wal, known = found[1], self.wal
            segments = self.segments + (wal != known)
            return replace(self, stage=self._at_least(Stage.REPLAY), wal=wal, segments=segments, waiting_for="")
        if message.startswith("archive recovery complete"):
            # What follows is CloudNativePG's: it looks every five seconds, and starts and stops the server once more.
            return replace(self, stage=self._at_least(Stage.FINISHING))
        return self._with_last_commit(message)

    def _with_last_commit(self, message: str) -> "RecoveryProgress":
        found = re.match(r"last completed transaction was at log time (.+)", message)
        return replace(self, last_commit=_postgres_time(found[1])) if found else self


def message_of(line: str) -> str:
    """The message in a line of the instance manager's JSON log; PostgreSQL's own records are nested in it.

    A line that is not JSON is its own message.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        return line.strip()
    if not isinstance(entry, dict):
        return line.strip()
    record = entry.get("record")
    if isinstance(record, dict) and "message" in record:
        return str(record["message"])
    message, error = str(entry.get("msg", "")), entry.get("error")
    return f"{message}: {error}" if error else message


def logged_at(line: str) -> datetime | None:
    """When a line of the instance manager's JSON log was written, by the node's clock; None where it does not say."""
    try:
        return datetime.fromisoformat(json.loads(line)["ts"]).astimezone(UTC)
    except (ValueError, TypeError, KeyError):
        return None


_EXPLANATIONS = (
    Failure(
        code="recovery-target-not-reached",
        cause="PostgreSQL replayed all archived WAL and met no commit after the target: "
        "recovery ended before configured recovery target was reached",
        remedy="repeat with --continue and without --skip-seal, so that a commit after the target is archived first; "
        "if the source is dead, choose an earlier --target-time",
        final=True,
    ),
    Failure(
        code="no-target-backup",
        cause="no base backup ended before the target: no target backup found",
        remedy="choose a later --target-time, and check backup.path and the serverName",
        final=True,
    ),
    Failure(
        code="wal-of-another-database",
        cause="the archive has WAL of another database on the way: WAL file is from different database system",
        remedy="{dr window} names both databases, and what can be reached of each",
        # A recovery to the end of the WAL goes well after that, where such an end was agreed to.
        final=False,
    ),
    Failure(
        code="archive-not-empty",
        cause="the recovered cluster's own WAL archive is not empty: Expected empty archive",
        remedy="choose another --recovered-name, so that it gets an archive of its own",
        final=True,
    ),
    Failure(
        code="parameters-too-low",
        cause="PostgreSQL refused to replay: recovery aborted because of insufficient parameter settings",
        remedy="raise the parameter that the pod's log names to the value the source had when the WAL was written",
        final=True,
    ),
    Failure(
        code="timeline-missing",
        cause="the archive has no way to the timeline that was asked for: recovery target timeline",
        remedy="leave --timeline out, or give one that {dr window} shows, and a base backup from before it began",
        final=True,
    ),
    Failure(
        code="timeline-missing",
        cause="the base backup is not on the way to the timeline: is not a child of this server's history",
        remedy="give --backup-id of a base backup from before the timeline began: {dr window}",
        final=True,
    ),
    Failure(
        code="codec-missing",
        cause="the image of the recovered cluster, or the plugin's, cannot undo the compression of the archive: "
        "Missing required python module",
        remedy="give the source's Cluster an image that has what it archives with; the pod's log names the module",
        final=True,
    ),
    Failure(
        code="archive-forbidden",
        cause="the recovered cluster's own account may not read the archive: does not have storage.",
        remedy="let it: with Workload Identity its Kubernetes service account is a new one, of the Cluster's name. "
        "Bind that to the Google account (roles/iam.workloadIdentityUser), or give it the bucket's role "
        f"({command_line('gcloud', 'storage', 'buckets', 'add-iam-policy-binding')}); then repeat with --continue",
        final=True,
    ),
    *(
        Failure(
            code="archive-forbidden",
            cause=f"the recovered cluster's own account may not read the archive: {words}",
            remedy="let it: by a role (IRSA, a managed identity) its Kubernetes service account is a new one, of the "
            "Cluster's name, which the role's trust has to name; by a key, that of the Secret. Then repeat with "
            "--continue",
            final=True,
        )
        for words in (
            "An error occurred (AccessDenied) when calling the",
            "ErrorCode:AuthorizationPermissionMismatch",
        )
    ),
    Failure(
        code="target-before-consistency",
        cause="the target lies before the end of the base backup that was taken: "
        "requested recovery stop point is before consistent recovery point",
        remedy="choose a later target, or --backup-id of a base backup that ended before it: {dr window}",
        final=True,
    ),
    *(
        Failure(
            code="base-wal-missing",
            cause=f"the WAL that belongs to the base backup is not in the archive, or was not fetched: {words}",
            remedy="{dr window} names what is missing. Where the pod's log shows that the store failed, "
            "CloudNativePG's next try, or --continue; else --backup-id of another base backup",
            final=False,  # the source may archive it yet, and the store may answer again
        )
        for words in (
            "could not locate required checkpoint record",
            "could not find redo location referenced by checkpoint record",
            "WAL ends before end of online backup",
        )
    ),
    Failure(
        code="archive-credentials",
        cause="the key that the recovered cluster reads the archive with is not valid JSON: is not a valid json file",
        remedy="correct the Secret that googleCredentials.applicationCredentials names (the file as Google gave it, "
        "encoded once), then repeat with --continue",
        final=True,
    ),
    Failure(
        code="archive-credentials",
        cause="the recovered cluster's pod has no Google credentials with a project: Project was not passed",
        remedy="with Workload Identity: does the node pool have GKE's metadata server, and the pod a service account "
        "that is bound? With a key: its file must name the project_id",
        final=False,  # the metadata server of a new node may answer late
    ),
    Failure(
        code="version-differs",
        cause="the image is of another PostgreSQL than the base backup: database files are incompatible with server",
        remedy="give the source's Cluster an image of the base backup's major version (the pod's log names both), or "
        "choose a base backup from after the upgrade with --backup-id",
        final=True,
    ),
    Failure(
        code="volume-full",
        cause="the recovered cluster's volume is full: No space left on device",
        remedy="give the source's Cluster a larger storage.size (the recovered one is derived from it) and try again",
        final=True,
    ),
)


def explain(message: str) -> Failure | None:
    """The failure that a log message is the signature of, or None.

    The signatures are PostgreSQL's, barman's and CloudNativePG's own words: the part of each cause after its last
    colon.
    """
    if found := _NOT_FETCHED.search(message):
        return Failure(
            code="wal-not-fetched",
            cause=f"{found[1]}: PostgreSQL was stopped, so that it does not take that for the end of the WAL",
            remedy="barman's own words are above that in the pod's log. Once the store answers, CloudNativePG's next "
            "try, or --continue; if the segment itself is damaged, choose a target before it",
            final=False,
        )
    if found := _NOT_PRELOADED.search(message):
        return Failure(
            code="library-missing",
            cause=f"the image lacks {found[1]}, which shared_preload_libraries names: {message}",
            remedy="give the source's Cluster the image that the database ran with; or take the library out of its "
            "shared_preload_libraries, where nothing of the data needs it",
            final=True,
        )
    if found := _NOT_UNDERSTOOD.search(message):
        return Failure(
            code="barman-arguments",
            cause=f"the image's barman does not understand how CloudNativePG calls it: {found[0]}",
            remedy="give the source's Cluster an image with a barman that fits the operator, and look at "
            "additionalCommandArgs and restoreAdditionalCommandArgs of the object store",
            final=True,
        )
    for failure in _EXPLANATIONS:
        if failure.cause.rsplit(": ", 1)[1] in message:
            return failure
    return None


def _unexplained(reason: str) -> Failure:
    return Failure(
        code="recovery-failed",
        cause=f"the recovery failed: {reason}",
        remedy="read the recovery pod's log for the cause; CloudNativePG retries until its Job gives up",
        final=False,
    )


_SLOW = re.compile(r"postgres-dr: (WAL \w+ (?:is still not fetched|could not be fetched .*; trying again).*)")
_NOT_FETCHED = re.compile(r"postgres-dr: (WAL \w+ could not be fetched within .*); PostgreSQL is stopped")
"""What the program says that fetches WAL in the recovery's pod (``dr/cnpg/in_pod/sitecustomize.py``)."""
_NOT_PRELOADED = re.compile(r'could not access file "([^"$]+)"')
"""PostgreSQL's words where it cannot preload a library (``internal_load_library`` in ``dfmgr.c``). One that a function
names is written with ``$libdir``, and ends no recovery.
"""
_NOT_UNDERSTOOD = re.compile(r"barman-cloud-(?:restore|wal-restore|backup-list|check-wal-archive): error: .+")
"""What argparse writes in barman's tools before they end with exit code 3."""
_PLUGIN_UNAVAILABLE = "plugin-unavailable"


def _plugin_unavailable(reason: str) -> Failure:
    return Failure(
        code=_PLUGIN_UNAVAILABLE,
        cause=f"the operator does not reach the Barman Cloud plugin: {reason or 'no reason given'}",
        remedy="bring the plugin's Deployment up, next to CloudNativePG's operator; the recovery then continues",
        final=False,
    )


def _postgres_time(text: str) -> datetime | None:
    """PostgreSQL's log time, such as ``2026-11-22 16:42:26.716751+00``; None in a form that is not understood."""
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError:
        return None
