"""A stack of the infrastructure under the lab's engine, with the double of Google behind it; no cluster is needed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.automation import (
    CommandError,
    LocalWorkspaceOptions,
    OpType,
    ProjectBackend,
    ProjectSettings,
    Stack,
    create_or_select_stack,
)

from dr.config.infrastructure import StackConfig
from dr.stacks.infrastructure import declare_infrastructure
from tests.support.google import Google

PROJECT_OF_STATE = "postgres-dr"
Program = Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """How a run of the engine ended."""

    failure: str
    """What it printed when it failed; empty otherwise."""
    operations: Mapping[OpType, int]
    """How many resources met each."""


@dataclass
class CloudStack:
    """One stack, in a folder of its own."""

    google: Google
    name: str
    folder: Path

    def up(self, program: Program, **options: Any) -> Outcome:
        """Bring it up."""
        return self._run(program, lambda stack: stack.up(**options).summary.resource_changes)

    def declared(self, part: StackConfig, imports: Mapping[str, str] | None = None, **options: Any) -> Outcome:
        """Bring up what ``part`` describes."""
        return self.up(lambda: declare_infrastructure(part, imports), **options)

    def preview(self, part: StackConfig, imports: Mapping[str, str] | None = None) -> Mapping[OpType, int]:
        """What an up would do, as in :class:`Outcome`."""
        return self._stack(lambda: declare_infrastructure(part, imports)).preview().change_summary

    def destroy(self, program: Program, **options: Any) -> Outcome:
        """Destroy it."""
        return self._run(program, lambda stack: stack.destroy(**options).summary.resource_changes)

    def unprotect(self) -> None:
        """Take every protection of the engine's off, as somebody does who means it."""
        stack = self._stack(_nothing)
        stack.workspace.pulumi_command.run(
            ["state", "unprotect", "--all", "--yes", "--stack", self.name], str(self.folder), self._variables
        )

    def urn_of(self, name: str) -> str:
        """The URN of a resource in the state."""
        state = self._stack(_nothing).export_stack().deployment or {}
        return next(str(found["urn"]) for found in state["resources"] if found["urn"].endswith(f"::{name}"))

    def _run(self, program: Program, work: Callable[[Stack], Mapping[OpType, int] | None]) -> Outcome:
        try:
            return Outcome("", work(self._stack(program)) or {})
        except CommandError as error:
            return Outcome(str(error), {})

    @property
    def _variables(self) -> dict[str, str]:
        return {
            "PULUMI_BACKEND_URL": f"file://{self.folder}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **self.google.double.variables(),
        }

    def _stack(self, program: Program) -> Stack:
        self.folder.mkdir(exist_ok=True)
        return create_or_select_stack(
            self.name,
            PROJECT_OF_STATE,
            program=program,
            opts=LocalWorkspaceOptions(
                work_dir=str(self.folder),
                env_vars=self._variables,
                project_settings=ProjectSettings(
                    name=PROJECT_OF_STATE,
                    runtime="python",
                    main=str(self.folder),
                    backend=ProjectBackend(url=f"file://{self.folder}"),
                ),
            ),
        )


def _nothing() -> None:
    """A program that declares nothing."""
