"""The recovery stack of one environment, brought up in the background."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dr.config.environment import Environment
from dr.core.errors import EngineError
from dr.engine.backend import Backend
from dr.engine.background_stack import BackgroundStack
from dr.engine.changes import Changes
from dr.engine.command import Installation
from dr.stacks.declaration import Declaration, stack_outputs

if TYPE_CHECKING:
    from pulumi.automation import Stack

    from dr.engine.command import InterruptibleCommand


class RecoveryStack(BackgroundStack):
    """The recovered Clusters, and where the Service points."""

    def __init__(self, environment: Environment, installed: Installation) -> None:
        kubeconfig = environment.kubernetes.kubeconfig
        variables = {"KUBECONFIG": str(Path(kubeconfig).expanduser())} if kubeconfig else {}
        super().__init__(Backend.of(environment, variables), installed)
        self._environment = environment
        self._declaration = Declaration()
        self._foreseen: tuple[Declaration, Changes] | None = None

    def foresee(self, declaration: Declaration) -> None:
        """Start previewing ``declaration``, for an :meth:`up` that follows: nobody has to wait for it then."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            with contextlib.suppress(EngineError):
                self._foreseen = (declaration, self._previewed(command, stack, declaration))

        self._start(work)

    def up(self, declaration: Declaration, judge: Callable[[Changes], None]) -> None:
        """Start ``pulumi up`` with ``declaration``, after what runs already, and once ``judge`` has let its preview
        pass; what that raises is the outcome then. Returns at once; :meth:`result` has the outcome of all.
        """

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import bring_up

            foreseen, self._foreseen = self._foreseen, None
            known = foreseen is not None and foreseen[0] == declaration
            judge(foreseen[1] if foreseen and known else self._previewed(command, stack, declaration))
            self._declaration = declaration
            bring_up(command, stack)

        self._start(work)

    def forget(self) -> None:
        """Start taking everything out of the state, touching nothing else. Returns at once, as :meth:`up`."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import forget

            forget(command, stack, stack_outputs(self._environment, Declaration()))

        self._start(work)

    def preview(self, declaration: Declaration) -> Changes:
        """What ``up`` with ``declaration`` would do. Changes nothing, and makes no stack. Raises EngineError."""
        self._declaration = declaration
        return self._preview()

    def _previewed(self, command: "InterruptibleCommand", stack: "Stack", declaration: Declaration) -> Changes:
        from dr.engine.preview import preview

        self._declaration = declaration
        return preview(command, stack)

    def _program(self) -> None:
        from dr.stacks.recovery import declare_recovery_stack

        declare_recovery_stack(self._environment, self._declaration)
