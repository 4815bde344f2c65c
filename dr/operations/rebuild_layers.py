"""The stacks of a platform as layers of a rebuild: each looked at in its own way."""

import os
from collections.abc import Mapping

from dr.engine.argocd_stack import ArgoCdStack
from dr.engine.background_stack import BackgroundStack
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.engine.installation import Installation
from dr.model.adoption import differences, not_unchanged
from dr.model.argocd_stack import ArgoCd
from dr.model.changes import Change, Changes
from dr.model.errors import Problem, RefusedError
from dr.model.infrastructure import Part
from dr.model.survey import Reconciliation
from dr.operations.infrastructure import survey


class InfrastructureLayer:
    """The durable or the platform stack: what exists is adopted unchanged, what is gone is made anew."""

    def __init__(self, part: Part, installed: Installation) -> None:
        self._stack = InfrastructureStack(part, installed)
        self._found: Reconciliation | None = None
        self.title = f"{part.holds} stack"

    def check(self, *, take_over: bool) -> None:
        """See that it can be worked with; changes nothing. Raises EngineError."""
        _check(self._stack, take_over=take_over)

    def claim(self, *, take_over: bool) -> None:
        """Take away the locks that dead runs have left."""
        self._stack.backend.check_unlocked(take_over=take_over)
        self._stack.backend.clear_locks(take_over=take_over)

    def look(self) -> Changes:
        """What an ``up`` would change. Raises RefusedError when something would not be adopted as it is."""
        self._found = survey(self._stack)
        changes = self._stack.preview(self._found.imports)
        if differing := not_unchanged(changes):
            raise RefusedError([_differs(change) for change in differing])
        return changes

    def up(self) -> None:
        """Start bringing it up; what is proven to be gone is taken out of the state first."""
        found = self._found or survey(self._stack)
        if found.drops:
            self._stack.drop(found.drops)
        self._stack.up(found.imports)

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self._stack.running

    def result(self) -> None:
        """The end of it. Raises EngineError."""
        self._stack.result()

    def interrupt(self) -> None:
        """Stop the engine."""
        self._stack.interrupt()


class ArgoCdLayer:
    """The stack that brings Argo CD."""

    title = "Argo CD stack"

    def __init__(self, plan: ArgoCd, credentials: Mapping[str, str] | None, installed: Installation) -> None:
        self._stack = ArgoCdStack(plan, credentials, installed)

    def check(self, *, take_over: bool) -> None:
        """See that it can be worked with; changes nothing. Raises EngineError."""
        _check(self._stack, take_over=take_over)

    def claim(self, *, take_over: bool) -> None:
        """Take away the locks that dead runs have left."""
        self._stack.backend.check_unlocked(take_over=take_over)
        self._stack.backend.clear_locks(take_over=take_over)

    def look(self) -> Changes:
        """What an ``up`` would change."""
        return self._stack.preview()

    def up(self) -> None:
        """Start bringing it up."""
        self._stack.up()

    @property
    def running(self) -> bool:
        """Whether it is under way."""
        return self._stack.running

    def result(self) -> None:
        """The end of it. Raises EngineError."""
        self._stack.result()

    def interrupt(self) -> None:
        """Stop the engine."""
        self._stack.interrupt()


def _check(stack: BackgroundStack, *, take_over: bool) -> None:
    stack.backend.check_passphrase(os.environ)
    stack.backend.check_unlocked(take_over=take_over)


def _differs(change: Change) -> Problem:
    return Problem(
        code="adoption-would-change",
        cause=f"{change.name} exists, and adopting it would change {', '.join(differences(change))}",
        remedy="write in the stack's file what is there (python -m dr adopt shows both), then repeat the command",
    )
