"""Where an operation's time went: its steps and the stages of its recovery, as spans of a few phases.

A recovery is one step, and most of the time: what was seen of it divides that step. The phases are those that somebody
who wants to be faster can do something about, each in another place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dr.cnpg.progress import Stage
from dr.core.history import StepEntry
from dr.core.plan import RECOVER, Phase, Step

TITLES: Mapping[Phase, str] = {
    Phase.PREPARATION: "Preparation",
    Phase.ENGINE: "Engine",
    Phase.KUBERNETES: "Kubernetes",
    Phase.BASE_BACKUP: "Base backup",
    Phase.WAL_REPLAY: "WAL replay",
    Phase.VERIFICATION: "Verification",
    Phase.WAITING: "Waiting for you",
    Phase.TRAFFIC: "Traffic",
    Phase.CLEAN_UP: "Clean-up",
    Phase.OTHER: "Other",
}
"""The phases' names for people."""

SEEN = 0.05
"""From how many seconds on a phase is worth a word."""

_STAGES = {
    Stage.CREATING: Phase.KUBERNETES,
    Stage.WAITING: Phase.KUBERNETES,
    Stage.BASE_BACKUP: Phase.BASE_BACKUP,
    Stage.REPLAY: Phase.WAL_REPLAY,
    Stage.FINISHING: Phase.KUBERNETES,
    Stage.STARTING: Phase.KUBERNETES,
}


@dataclass(frozen=True)
class StageReached:
    """A recovery was first seen in ``stage`` at ``at`` (aware UTC)."""

    stage: Stage
    at: datetime


@dataclass(frozen=True)
class Span:
    """``phase`` went on from ``started`` (aware UTC) for ``seconds``; ``step`` is the step it belongs to."""

    phase: Phase
    what: str
    step: str
    started: datetime
    seconds: float


def spans(
    began: datetime,
    steps: Sequence[tuple[StepEntry, Step]],
    marks: Sequence[StageReached],
    *,
    until: datetime,
    by_engine: bool,
) -> tuple[Span, ...]:
    """All of the time from ``began`` to ``until``, without gaps. ``steps`` come with the plan's.

    ``by_engine`` says that Pulumi makes the Cluster, so that the time until it is there is the engine's.
    """
    found: list[Span] = []
    at = began
    for step, planned in steps:
        if step.started > at:
            # Before the first step and between two: the lease, the state's lock, the record.
            phase = Phase.ENGINE if by_engine else Phase.PREPARATION
            what = "between the steps" if found else "before the first step"
            found.append(_span(phase, what, "", at, step.started))
        at = max(at, step.ended or until)
        if step.key == RECOVER and marks:
            found += _of_recovery(step.key, step.started, at, marks, by_engine=by_engine)
        else:
            found.append(_span(planned.phase, planned.title, step.key, step.started, at))
    return tuple(found)


def split(found: Iterable[Span], *, last: str) -> dict[Phase, float]:
    """Seconds by phase, up to the end of the last step ``last``; every phase that took any time, in their order."""
    spent: dict[Phase, float] = {}
    for span in _up_to(found, last):
        spent[span.phase] = spent.get(span.phase, 0.0) + span.seconds
    return {phase: round(spent[phase], 3) for phase in Phase if spent.get(phase)}


def whole_incident(
    recovery: Mapping[Phase, float], move: Mapping[Phase, float], *, before: float
) -> dict[Phase, float]:
    """The phases of a recovery and of the switchover that began ``before`` seconds after it, with the time between."""
    waiting = max(0.0, before - sum(recovery.values()))
    spent = {phase: recovery.get(phase, 0.0) + move.get(phase, 0.0) for phase in Phase} | {Phase.WAITING: waiting}
    return {phase: round(spent[phase], 3) for phase in Phase if spent[phase]}


def _up_to(found: Iterable[Span], last: str) -> Iterator[Span]:
    reached = False
    for span in found:
        if reached and span.step != last:
            return
        reached = reached or span.step == last
        yield span


def _of_recovery(
    step: str, began: datetime, ended: datetime, marks: Sequence[StageReached], *, by_engine: bool
) -> Iterator[Span]:
    seen = [StageReached(Stage.CREATING, began), *(mark for mark in marks if began <= mark.at <= ended)]
    for mark, until in zip(seen, [*(mark.at for mark in seen[1:]), ended], strict=True):
        phase = _STAGES.get(mark.stage, Phase.KUBERNETES)
        if by_engine and mark.stage is Stage.CREATING:
            phase = Phase.ENGINE
        if until > mark.at:
            yield _span(phase, str(mark.stage), step, mark.at, until)


def _span(phase: Phase, what: str, step: str, began: datetime, ended: datetime) -> Span:
    seconds = max(timedelta(), ended - began).total_seconds()
    return Span(phase=phase, what=what, step=step, started=began, seconds=seconds)
