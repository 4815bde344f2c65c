"""Waiting for a Cluster that recovers, by what is seen of it, until it is healthy or hopeless."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.progress import Failure, LogSeen, Observation, RecoveryProgress, Stage, WarningSeen, logged_at
from dr.cnpg.recovery_watch import RecoveryWatch
from dr.cnpg.volumes import volume_refusal
from dr.core.errors import InterruptedOperationError, RecoveryError
from dr.reports.phases import StageReached
from dr.run.report_keeping import ReportData
from dr.run.runner import Reporter
from dr.run.session import Session

_TICK_SECONDS = 0.5
_SILENCE_SECONDS = 10
_NOTHING_SECONDS = 30
"""After which CloudNativePG has made a Job and its pod where it can."""
_BEFORE_ITS_POD = {Stage.CREATING, Stage.WAITING}


class RecoveryWait:
    """One Cluster that recovers. ``what`` names it for people; ``remedies`` replace those of failures by their code;
    ``at_limit`` is what to do when its time is used up and nothing is known to be wrong.
    """

    def __init__(
        self,
        session: Session,
        reporter: Reporter,
        watch: RecoveryWatch,
        *,
        what: str,
        at_limit: str,
        remedies: Mapping[str, str] | None = None,
        report_data: ReportData | None = None,
    ) -> None:
        """``report_data`` gets what is seen: when each stage began, and the log."""
        self.progress = RecoveryProgress()
        self._marks: list[StageReached] = []
        self._log: deque[str] = deque(maxlen=0)
        if report_data is not None:
            report_data.marks, self._log = self._marks, report_data.log
        self.seen: ClusterSnapshot | None = None
        self._session = session
        self._reporter = reporter
        self._watch = watch
        self._what = what
        self._at_limit = at_limit
        self._remedies = remedies or {}
        self._asked_about_volumes = False
        self._something_came = False

    @property
    def healthy(self) -> ClusterSnapshot:
        """The Cluster as it was seen last, after :meth:`until_healthy`."""
        if self.seen is None:
            raise RuntimeError("asked before it was healthy")
        return self.seen

    @property
    def replayed(self) -> str:
        """How much WAL was replayed, for people."""
        return f"{self.progress.segments} WAL segments" if self.progress.segments else "WAL"

    def until_healthy(self, limit: float, *, check: Callable[[], None] = lambda: None) -> None:
        """Wait until it is healthy; ``check`` is called at every look and may raise. ``limit`` is in seconds.

        Raises RecoveryError when it cannot become healthy any more or has used up its time,
        InterruptedOperationError.
        """
        begin = time.monotonic()
        while self.progress.stage is not Stage.HEALTHY or self.seen is None:
            elapsed = time.monotonic() - begin
            self.look()
            if elapsed > _SILENCE_SECONDS:
                self._ask_about_volumes()
            if elapsed > _NOTHING_SECONDS:
                self._say_that_nothing_comes()
            self._reporter.recovery(self.progress, elapsed=elapsed, limit=limit)
            self._give_up_if_hopeless()
            if self.progress.stage is not Stage.HEALTHY:
                check()
            self._give_up_at(limit, elapsed)

    def look(self) -> None:
        """Take in what has been seen since, waiting up to a tick for the first of it."""
        seen = self._watch.next(_TICK_SECONDS)
        while seen is not None:
            before = self.progress
            self.progress = before.after(seen)
            if isinstance(seen, ClusterSnapshot):
                self.seen = seen
            else:
                self._something_came = True
            if isinstance(seen, LogSeen):
                self._log.append(f"{seen.pod} {seen.line}")
            if self.progress.stage is not before.stage:
                self._marks.append(StageReached(self.progress.stage, self._moment(seen)))
            seen = self._watch.next(0)

    def _moment(self, seen: Observation) -> datetime:
        """When what was seen came to be: by the log itself, as its lines may come late, if the clocks agree."""
        now = self._session.clock()
        written = logged_at(seen.line) if isinstance(seen, LogSeen) else None
        earliest = self._marks[-1].at if self._marks else now
        return written if written is not None and earliest <= written <= now else now

    def _say_that_nothing_comes(self) -> None:
        """Where CloudNativePG cannot make what a Cluster needs, it says so in its own log only: in no event."""
        if self._something_came or self.progress.waiting_for or self.progress.stage not in _BEFORE_ITS_POD:
            return
        namespace = self._session.environment.health.operator_namespace
        label = "app.kubernetes.io/name=cloudnative-pg"
        logs = self._session.api.commands.kubectl("logs", "-l", label, "--tail", "200", namespace=namespace)
        self.progress = replace(
            self.progress,
            waiting_for=f"nothing was created for it: no pod, no event; the operator's log says why ({logs})",
        )

    def _ask_about_volumes(self) -> None:
        """Once, when the Cluster is there and nothing comes of it: CloudNativePG tells nobody of a refused volume."""
        if self.progress.stage is not Stage.CREATING or self._asked_about_volumes or self.seen is None:
            return
        self._asked_about_volumes = True
        if refusal := volume_refusal(self._session.api, self.seen):
            warning = WarningSeen(about=self.seen.name, reason="ProvisioningFailed", message=refusal)
            self.progress = self.progress.after(warning)

    def _give_up_if_hopeless(self) -> None:
        if self._session.stop.is_set():
            raise InterruptedOperationError(
                "interrupted",
                f"stopped while {self.progress.stage}; CloudNativePG continues with {self._what}",
                "continue, or undo what was done; see below",
            )
        failure = self.progress.failure
        if failure and failure.final:
            raise RecoveryError(failure.code, failure.cause, self._remedy(failure))

    def _give_up_at(self, limit: float, elapsed: float) -> None:
        if elapsed <= limit:
            return
        failure = self.progress.failure
        held_up = f", waiting: {self.progress.waiting_for}" if self.progress.waiting_for else ""
        cause = f"{self._what} is not healthy within {limit:.0f} s; it was {self.progress.stage}{held_up}"
        if failure is None:
            raise RecoveryError("recovery-timeout", cause, self._at_limit)
        raise RecoveryError(failure.code, f"{cause}; {failure.cause}", self._remedy(failure))

    def _remedy(self, failure: Failure) -> str:
        say = self._session.environment.commands
        return say.fill(self._remedies.get(failure.code, failure.remedy))
