"""Bringing one stack of a rebuild up: looked at first, judged, brought up, and again where Google only needs time.

No stack goes up unseen. What a preview says is judged by the same guard as everywhere, and a preview that changes
nothing is the end of it. What Google refuses is recognised; what passes by itself is waited for here, longer each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from dr.config.stack_file import PROJECT
from dr.core.errors import EngineError, InterruptedOperationError, Problem, RefusedError
from dr.engine.changes import Change, Changes, Op
from dr.guard.rules import Danger, Seen, dangers
from dr.infra.faults import CloudFault, recognised
from dr.run.estimate import UNCHANGED

_WAITS = (10.0, 20.0, 40.0, 60.0, 60.0, 60.0)
"""Seconds before each further try: propagation at Google takes up to a few minutes."""
_LOOK_SECONDS = 1.0


class Layer(Protocol):
    """One stack, whichever it is."""

    title: str

    def claim(self, *, take_over: bool) -> None:
        """Take away the locks that dead runs have left. Raises EngineError when a living one holds it."""

    def look(self) -> Changes:
        """What an ``up`` would change, after a look at what is really there. Changes nothing. Raises DrError."""

    def up(self) -> None:
        """Start bringing it up as it was looked at last. Returns at once."""

    @property
    def running(self) -> bool:
        """Whether ``up`` was started and has not ended."""

    def result(self) -> None:
        """The end of ``up``. Raises EngineError when it failed."""

    def interrupt(self) -> None:
        """Stop the engine, gracefully first. Whoever started ``up`` never leaves it behind."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who waits, and what they are told: ``stop`` ends it, ``say`` tells what is going on, once a second."""

    stop: Event
    say: Callable[[str], None]


def bring_up(layer: Layer, seen: Seen, watch: Watch) -> str:
    """Bring ``layer`` up, and say what was done. ``seen`` is what the guard has to know.

    Raises RefusedError when the guard does not allow it, EngineError with the cause that was recognised, and
    InterruptedOperationError when told to stop.
    """
    try:
        for tried, pause in enumerate((*_WAITS, None), start=1):
            try:
                return _once(layer, seen, watch)
            except EngineError as error:
                fault = recognised(error.cause)
                if fault is None:
                    raise
                if not fault.waits or pause is None:
                    raise _explained(layer, fault) from error
                watch.say(f"{fault.cause}: waiting {pause:.0f} s before try {tried + 1}; {fault.said}")
                _wait(watch, pause)
    finally:
        layer.interrupt()
    raise AssertionError("the last try has no pause after it")


def _once(layer: Layer, seen: Seen, watch: Watch) -> str:
    watch.say(f"looking at what is there of the {layer.title}")
    changes = layer.look()
    if changes.faults:
        raise EngineError(
            "engine-failed", f"the preview of the {layer.title} fails: {' / '.join(changes.faults)}", "mend the cause"
        )
    if found := dangers(changes, seen):
        raise RefusedError([barred(one) for one in found])
    if not changes.any:
        return f"{UNCHANGED}: it is as it should be"
    watch.say(told(changes))
    layer.up()
    while layer.running:
        if watch.stop.wait(_LOOK_SECONDS):
            raise InterruptedOperationError("interrupted", f"stopped while the {layer.title} came up", "go on")
        watch.say(told(changes))
    layer.result()
    return told(changes)


def told(changes: Changes) -> str:
    """What a preview would do, in a few words: counts, and the names of the first few."""
    parts = []
    for op, word in (
        (Op.IMPORT, "adopts"),
        (Op.CREATE, "makes"),
        (Op.UPDATE, "changes"),
        (Op.REPLACE, "replaces"),
        (Op.DELETE, "deletes"),
        (Op.FORGET, "lets go of"),
    ):
        names = [change.name for change in changes.of(op) if not _groups(change)]
        if names:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            parts.append(f"{word} {len(names)} ({shown})")
    return "; ".join(parts) or "writes down what is there"


def barred(danger: Danger) -> Problem:
    """A rule of the guard that a stack would break. No override counts here: nothing of a rebuild needs one."""
    return Problem(code="guard-refused", cause=f"{danger.cause} (rule {danger.rule})", remedy=danger.remedy)


def _groups(change: Change) -> bool:
    """Whether it exists nowhere but in Pulumi: a provider, or a component, which groups others."""
    return change.is_provider or change.type.startswith(f"{PROJECT}:")


def _explained(layer: Layer, fault: CloudFault) -> EngineError:
    return EngineError(fault.code, f"the {layer.title} does not come up: {fault.cause}: {fault.said}", fault.remedy)


def _wait(watch: Watch, seconds: float) -> None:
    if watch.stop.wait(seconds):
        raise InterruptedOperationError("interrupted", "stopped while waiting for Google", "go on")
