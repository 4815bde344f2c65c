"""The stacks of a rebuild: looked at first, judged, brought up, and again where Google only needs time.

No stack goes up unseen. What a preview says is judged by the same guard as everywhere, and a preview that changes
nothing is the end of it. What Google refuses is recognised; what passes is waited for here, longer each time.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Generic, Protocol, TypeVar

from dr.config.environment import Environment
from dr.config.infrastructure import ArgoCd, Platform, StackConfig
from dr.config.stack_file import PROJECT
from dr.core.commands import ANY_RUN, CommandLines
from dr.core.errors import EngineError, InterruptedOperationError, Problem, RefusedError
from dr.core.history import UNCHANGED, Holder
from dr.engine.background_stack import BackgroundStack
from dr.engine.changes import Change, Changes, Op, differences, not_unchanged
from dr.engine.command import Installation
from dr.engine.infrastructure_stack import ArgoCdStack, InfrastructureStack
from dr.engine.recovery_stack import RecoveryStack
from dr.guard.rules import Seen, Violation, violations
from dr.infra.google import CloudFault, classify_fault, take_inventory
from dr.infra.inventory import Reconciliation
from dr.rebuild.store import RebuildLease, RebuildRecords
from dr.run.journal import Journal
from dr.run.report_keeping import ReportData
from dr.run.runner import Reporter
from dr.run.session import Session

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
        """Stop the engine, gracefully first. The caller of ``up`` never leaves it behind."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Who waits, and what they see: ``stop`` ends it, ``say`` tells what is going on, once a second; ``commands``
    are the environment's.
    """

    stop: Event
    say: Callable[[str], None]
    commands: CommandLines = ANY_RUN


def bring_up(layer: Layer, seen: Seen, watch: Watch) -> str:
    """Bring ``layer`` up, and say what was done. ``seen`` is what the guard has to know.

    Raises RefusedError when the guard does not allow it, EngineError with the cause that was recognised, and
    InterruptedOperationError when stopped.
    """
    try:
        for tried, pause in enumerate((*_WAITS, None), start=1):
            try:
                return _once(layer, seen, watch)
            except EngineError as error:
                fault = classify_fault(error.cause, watch.commands)
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
            "engine-failed", f"the preview of the {layer.title} fails: {' / '.join(changes.faults)}", "fix the cause"
        )
    if found := violations(changes, seen):
        raise RefusedError([barred(one) for one in found])
    if not changes.any:
        return f"{UNCHANGED}: it is as it should be"
    watch.say(summary(changes))
    layer.up()
    while layer.running:
        if watch.stop.wait(_LOOK_SECONDS):
            raise InterruptedOperationError("interrupted", f"stopped while the {layer.title} came up", "continue")
        watch.say(summary(changes))
    layer.result()
    return summary(changes)


def summary(changes: Changes) -> str:
    """What a preview would do, in a few words: counts, and the names of the first few."""
    parts = []
    for op, word in (
        (Op.IMPORT, "imports"),
        (Op.CREATE, "creates"),
        (Op.UPDATE, "updates"),
        (Op.REPLACE, "replaces"),
        (Op.DELETE, "deletes"),
        (Op.FORGET, "forgets"),
    ):
        names = [change.name for change in changes.of(op) if not _groups(change)]
        if names:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            parts.append(f"{word} {len(names)} ({shown})")
    return "; ".join(parts) or "writes down what is there"


def barred(violation: Violation) -> Problem:
    """A rule of the guard that a stack would break. No override counts here: nothing of a rebuild needs one."""
    return Problem(code="guard-refused", cause=f"{violation.cause} (rule {violation.rule})", remedy=violation.remedy)


def _groups(change: Change) -> bool:
    """Whether it exists nowhere but in Pulumi: a provider, or a component, which groups others."""
    return change.is_provider or change.type.startswith(f"{PROJECT}:")


def _explained(layer: Layer, fault: CloudFault) -> EngineError:
    return EngineError(fault.code, f"the {layer.title} does not come up: {fault.cause}: {fault.said}", fault.remedy)


def _wait(watch: Watch, seconds: float) -> None:
    if watch.stop.wait(seconds):
        raise InterruptedOperationError("interrupted", "stopped while waiting for Google", "continue")


_STAYS_WELL_SECONDS = 60.0
"""How long a stack that was seen to be as it should be is not looked at again: between a plan and its steps."""

S = TypeVar("S", bound=BackgroundStack)


class _StackLayer(Generic[S]):
    """What the layers have in common. ``make`` gives the stack, again for each try: one that has failed has failed."""

    def __init__(self, title: str, make: Callable[[], S]) -> None:
        self.title = title
        self._make = make
        self._stack = make()

    def check(self, *, take_over: bool) -> None:
        """See that it can be worked with; changes nothing. Raises EngineError."""
        self._stack.backend.check_passphrase(os.environ)
        self._stack.backend.check_unlocked(take_over=take_over)

    def claim(self, *, take_over: bool) -> None:
        """Take away the locks that dead runs have left. Raises EngineError when a living one holds it."""
        self._stack.backend.check_unlocked(take_over=take_over)
        self._stack.backend.clear_locks(take_over=take_over)

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self._stack.running

    def result(self) -> None:
        """The end of it. Raises EngineError."""
        try:
            self._stack.result()
        except EngineError:
            self._stack = self._make()
            raise

    def interrupt(self) -> None:
        """Stop the engine."""
        self._stack.interrupt()


class InfrastructureLayer(_StackLayer[InfrastructureStack]):
    """The durable or the platform stack: what exists is adopted unchanged, what is gone is recreated."""

    def __init__(self, part: StackConfig, installed: Installation) -> None:
        super().__init__(f"{part.holds} stack", lambda: InfrastructureStack(part, installed))
        self._found: Reconciliation | None = None
        self._well = 0.0

    def look(self) -> Changes:
        """What an ``up`` would change. Raises RefusedError when something would not be adopted as it is."""
        if time.monotonic() < self._well:
            return Changes(stack=self._stack.backend.stack)
        self._found = take_inventory(self._stack)
        changes = self._stack.preview(self._found.imports)
        if differing := not_unchanged(changes):
            raise RefusedError([_differs(change) for change in differing])
        if not changes.any and not changes.faults:
            self._well = time.monotonic() + _STAYS_WELL_SECONDS
        return changes

    def up(self) -> None:
        """Start bringing it up; what is proven to be gone is taken out of the state first."""
        found = self._found or take_inventory(self._stack)
        if found.drops:
            self._stack.drop(found.drops)
        self._stack.up(found.imports)


class ArgoCdLayer(_StackLayer[ArgoCdStack]):
    """The stack that brings Argo CD."""

    def __init__(self, plan: ArgoCd, credentials: Mapping[str, str] | None, installed: Installation) -> None:
        super().__init__("Argo CD stack", lambda: ArgoCdStack(plan, credentials, installed))

    def look(self) -> Changes:
        """What an ``up`` would change."""
        return self._stack.preview()

    def up(self) -> None:
        """Start bringing it up."""
        self._stack.up()


def _differs(change: Change) -> Problem:
    return Problem(
        code="adoption-would-change",
        cause=f"{change.name} exists, and adopting it would change {', '.join(differences(change))}",
        remedy="write in the stack's file what is there (adopt --dry-run shows both), then repeat the command",
    )


@dataclass(frozen=True, kw_only=True)
class PlatformStacks:
    """The stacks of a platform, in the order in which they come up; ``argocd`` is None where none is configured."""

    durable: Layer
    platform: Layer
    argocd: Layer | None
    root: tuple[str, str]
    """Namespace and name of the Application that declares the others."""

    @property
    def all(self) -> tuple[Layer, ...]:
        """Those that there are."""
        return (self.durable, self.platform, *([self.argocd] if self.argocd else []))


@dataclass(frozen=True, kw_only=True)
class RebuildContext:
    """One full rebuild of one environment.

    ``connect`` writes the credentials of the cluster that the platform stack holds and returns a session on it, again
    at each call, as they do not last for ever; ``inner`` makes what an operation inside this one works with on such a
    session, given its name; ``known`` are the last answers to the verification's questions; ``moved`` is the platform
    as it is in another region, where one was asked for.
    """

    environment: Environment
    layers: PlatformStacks
    records: RebuildRecords
    lease: RebuildLease
    holder: Holder
    connect: Callable[[], Session]
    inner: Callable[[Session, str], tuple[RecoveryStack, Journal]]
    journal: Journal
    reporter: Reporter
    clock: Callable[[], datetime]
    stop: Event
    take_over: bool
    known: Mapping[str, str]
    moved: Platform | None = None
    report_data: ReportData = field(default_factory=ReportData)
