"""How operations tell what is happening, without knowing who listens (a terminal, a log, JSON)."""

from typing import Protocol

from dr.cnpg.progress import RecoveryProgress
from dr.core.plan import Step


class Reporter(Protocol):
    """Someone who listens. Called from the thread that runs the operation."""

    def step_started(self, step: Step) -> None:
        """``step`` begins."""

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        """``step`` has ended; ``fact`` is what it found or did."""

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        """Where the recovery stands, at every change and about twice a second. Times are in seconds."""

    def progress(self, said: str) -> None:
        """What the step under way is doing right now, in a few words; about once a second."""
