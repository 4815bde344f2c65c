"""What a rebuild tells: its steps with the time left, and the steps of operations inside it as its own progress."""

import time
from dataclasses import dataclass, field

from dr.cnpg.progress import RecoveryProgress
from dr.core.history import Estimate
from dr.core.plan import Step
from dr.core.text import about_seconds_of
from dr.run.runner import Reporter


@dataclass
class EtaReporter:
    """Passes everything on, and says with each progress how long the whole will still take, as far as it is known."""

    reporter: Reporter
    estimate: Estimate
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
        estimate = self.estimate
        of_this = max(0.0, estimate.seconds.get(self._current, 0.0) - (time.monotonic() - self._begun))
        rest = estimate.left_after([*self._done, self._current]).total_seconds() + of_this
        return f"about {about_seconds_of(rest)} left"


@dataclass(frozen=True)
class NestedReporter:
    """Tells the steps of an operation inside this one as progress of the step that it is."""

    reporter: Reporter

    def step_started(self, step: Step) -> None:
        """A step of it begins."""
        self.reporter.progress(f"{step.title}: {step.detail()}")

    def step_done(self, step: Step, fact: str, seconds: float) -> None:
        """A step of it has ended."""
        self.reporter.progress(f"{step.title}: {fact}, {seconds:.1f} s")

    def recovery(self, progress: RecoveryProgress, *, elapsed: float, limit: float) -> None:
        """Where a recovery stands."""
        self.reporter.recovery(progress, elapsed=elapsed, limit=limit)

    def progress(self, said: str) -> None:
        """What it is doing right now."""
        self.reporter.progress(said)
