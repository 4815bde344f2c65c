"""Running a plan: each step in turn, reported, timed and journalled, with where things stand when one fails."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import Protocol

from dr.cnpg.progress import RecoveryProgress
from dr.core.errors import DrError, FaultError, InterruptedOperationError, Stopped
from dr.core.plan import Step, StepTaken
from dr.run.journal import Journal


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


_GO_ON_OR_UNDO = "continue, or undo what was done; see below"


def run_steps(
    steps: Sequence[Step],
    *,
    reporter: Reporter,
    journal: Journal,
    clock: Callable[[], datetime],
    stop: Event,
    go_on: str,
) -> tuple[tuple[str, float, str], ...]:
    """Run the steps in order, and return each one's key, its seconds, and what it did or found.

    ``go_on`` is the command that continues after a stop.

    Raises what a step raises, and InterruptedOperationError when ``stop`` is set before or during one; the error's
    ``stopped`` says what had been done.
    """
    done: list[tuple[str, float, str]] = []
    for step in steps:
        try:
            done.append((step.key, *_run(step, reporter, journal, clock, stop)))
        except Exception as failure:
            error = _explained(failure, stop)
            journal.failed(step, error, failure, clock())
            error.stopped = _stood(step.taken, steps[: len(done)], journal, go_on)
            if error is failure:
                raise
            raise error from failure
    return tuple(done)


_END = StepTaken(key="end", title="The end")


@contextmanager
def after_steps(steps: Sequence[Step], journal: Journal, go_on: str) -> Iterator[None]:
    """What fails within the context, after the last of ``steps``, says too where things stand. Raises DrError."""
    try:
        yield
    except Exception as failure:
        error = _explained(failure, Event())
        error.stopped = error.stopped or _stood(_END, steps, journal, go_on)
        if error is failure:
            raise
        raise error from failure


def _stood(at: StepTaken, done: Sequence[Step], journal: Journal, go_on: str) -> Stopped:
    taken = tuple(step.taken for step in done)
    return Stopped(at=at, done=taken, go_on=go_on, journal=str(journal.path), unwritten=journal.unwritten)


def _explained(error: Exception, stop: Event) -> DrError:
    """The error itself; an interruption where a step failed because it was asked to stop; a fault of the tool for any
    other.
    """
    if not isinstance(error, DrError):
        return FaultError("fault", f"{type(error).__name__}: {error}", "report it with the journal; the state is below")
    if not stop.is_set() or isinstance(error, InterruptedOperationError):
        return error
    return InterruptedOperationError("interrupted", f"stopped: {error.cause}", _GO_ON_OR_UNDO)


def _run(
    step: Step, reporter: Reporter, journal: Journal, clock: Callable[[], datetime], stop: Event
) -> tuple[float, str]:
    _check(stop, f"stopped before the step {step.title!r}")
    begin = time.monotonic()
    journal.step_started(step, clock())
    reporter.step_started(step)
    fact = step.run()
    _check(stop, f"stopped in the step {step.title!r}")
    seconds = time.monotonic() - begin
    journal.step_done(step, fact, seconds, clock())
    reporter.step_done(step, fact, seconds)
    return seconds, fact


def _check(stop: Event, cause: str) -> None:
    if stop.is_set():
        raise InterruptedOperationError("interrupted", cause, _GO_ON_OR_UNDO)
