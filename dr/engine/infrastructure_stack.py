"""The stacks of the infrastructure: looked at, compared with what is there, brought up in the background."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, cast

from dr.config.extras import INFRASTRUCTURE, require
from dr.config.infrastructure import ArgoCd, StackConfig
from dr.engine.backend import Backend
from dr.engine.background_stack import BackgroundStack
from dr.engine.changes import Changes
from dr.engine.command import Installation

if TYPE_CHECKING:
    from pulumi.automation import Stack

    from dr.engine.command import InterruptibleCommand


class InfrastructureStack(BackgroundStack):
    """The durable or the platform stack.

    ``imports`` are the import IDs of what exists and is not held yet, by the resources' names, ``targets`` the URNs
    that alone are dealt with. An import whose inputs differ is imported and then updated in the same run: judge the
    preview of the same ``imports`` first. Raises EngineError ``extra-missing`` where its providers are not installed.
    """

    providers = ("gcp",)

    def __init__(self, part: StackConfig, installed: Installation) -> None:
        require(INFRASTRUCTURE)
        super().__init__(Backend.of(part), installed)
        self.part = part
        self._imports: Mapping[str, str] = {}

    def held(self) -> dict[str, str]:
        """The IDs of what the state holds, by URN; nothing where there is no stack yet. Raises EngineError."""

        def question(command: "InterruptibleCommand", stack: "Stack") -> dict[str, str]:
            from dr.engine.workspace import resources_held

            return resources_held(command, stack)

        return cast("dict[str, str]", self._ask(question))

    def preview(self, imports: Mapping[str, str] | None = None, *, targets: Collection[str] = ()) -> Changes:
        """What :meth:`up` would do. Changes nothing, and makes no stack. Raises EngineError."""
        self._imports = imports or {}
        return self._preview(targets)

    def up(self, imports: Mapping[str, str] | None = None, *, targets: Collection[str] = ()) -> None:
        """Start ``pulumi up``. Returns at once; :meth:`result` has the outcome."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import bring_up

            self._imports = imports or {}
            bring_up(command, stack, targets=targets)

        self._start(work)

    def refresh(self) -> None:
        """Start making the state what the providers see. Returns at once, as :meth:`up`."""

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import refresh

            refresh(command, stack)

        self._start(work)

    def drop(self, urns: Collection[str]) -> None:
        """Start taking ``urns`` out of the state, protected or not, touching nothing else. Returns at once, as
        :meth:`up`. Only for what is proven to be gone.
        """

        def work(command: "InterruptibleCommand", stack: "Stack") -> None:
            from dr.engine.workspace import drop

            drop(command, stack, urns)

        self._start(work)

    def _program(self) -> None:
        from dr.stacks.infrastructure import declare_infrastructure

        declare_infrastructure(self.part, self._imports)


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
