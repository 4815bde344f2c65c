"""The recovery stack of one environment, brought up in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

from dr.engine.backend import Backend
from dr.engine.background_stack import BackgroundStack
from dr.engine.installation import Installation
from dr.model.changes import Changes
from dr.model.config import Environment
from dr.model.declaration import Declaration

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

    def up(self, declaration: Declaration) -> None:
        """Start ``pulumi up`` with ``declaration``, after one that runs. Returns at once; :meth:`result` has the
        outcome of both.
        """

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import bring_up

            self._declaration = declaration
            bring_up(command, stack)

        self._start(work)

    def forget(self) -> None:
        """Start taking everything out of the state, touching nothing else. Returns at once, as :meth:`up`."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import forget

            forget(command, stack)

        self._start(work)

    def preview(self, declaration: Declaration) -> Changes:
        """What ``up`` with ``declaration`` would do. Changes nothing, and makes no stack. Raises EngineError."""
        self._declaration = declaration
        return self._preview()

    def _program(self) -> None:
        from dr.stacks.recovery import declare_recovery_stack

        declare_recovery_stack(self._environment, self._declaration)
