"""The stack that brings Argo CD, looked at and brought up in the background."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dr.config.argocd_stack import ArgoCd
from dr.engine.backend import Backend
from dr.engine.background_stack import BackgroundStack
from dr.engine.changes import Changes
from dr.engine.installation import Installation

if TYPE_CHECKING:
    from pulumi.automation import Stack

    from dr.engine.command import InterruptibleCommand


class ArgoCdStack(BackgroundStack):
    """Argo CD's chart, the repository's credentials, and the root Application."""

    def __init__(self, plan: ArgoCd, credentials: Mapping[str, str] | None, installed: Installation) -> None:
        super().__init__(Backend.of(plan), installed)
        self._plan = plan
        self._credentials = credentials

    def preview(self) -> Changes:
        """What :meth:`up` would do. Changes nothing, and makes no stack. Raises EngineError."""
        return self._preview()

    def up(self) -> None:
        """Start ``pulumi up``. Returns at once; :meth:`result` has the outcome."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import bring_up

            bring_up(command, stack)

        self._start(work)

    def _program(self) -> None:
        from dr.stacks.argocd import declare_argocd_stack

        declare_argocd_stack(self._plan, self._credentials)
