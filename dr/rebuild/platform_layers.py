"""The stacks of a platform as layers of a rebuild: each looked at in its own way, all handled alike."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from dr.config.argocd_stack import ArgoCd
from dr.config.infrastructure import Part
from dr.core.errors import EngineError, Problem, RefusedError
from dr.engine.argocd_stack import ArgoCdStack
from dr.engine.background_stack import BackgroundStack
from dr.engine.changes import Change, Changes
from dr.engine.import_differences import differences, not_unchanged
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.engine.installation import Installation
from dr.infra.look import survey
from dr.infra.survey import Reconciliation

_STAYS_WELL_SECONDS = 60.0
"""How long a stack that was seen to be as it should be is not looked at again: between a plan and its steps."""

S = TypeVar("S", bound=BackgroundStack)


class _StackLayer(Generic[S]):
    """What the layers have in common. ``make`` gives the stack, anew for each try: one that has failed has failed."""

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
    """The durable or the platform stack: what exists is adopted unchanged, what is gone is made anew."""

    def __init__(self, part: Part, installed: Installation) -> None:
        super().__init__(f"{part.holds} stack", lambda: InfrastructureStack(part, installed))
        self._found: Reconciliation | None = None
        self._well = 0.0

    def look(self) -> Changes:
        """What an ``up`` would change. Raises RefusedError when something would not be adopted as it is."""
        if time.monotonic() < self._well:
            return Changes(stack=self._stack.backend.stack)
        self._found = survey(self._stack)
        changes = self._stack.preview(self._found.imports)
        if differing := not_unchanged(changes):
            raise RefusedError([_differs(change) for change in differing])
        if not changes.any and not changes.faults:
            self._well = time.monotonic() + _STAYS_WELL_SECONDS
        return changes

    def up(self) -> None:
        """Start bringing it up; what is proven to be gone is taken out of the state first."""
        found = self._found or survey(self._stack)
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
        remedy="write in the stack's file what is there (python -m dr adopt shows both), then repeat the command",
    )
