"""Bringing the recovery stack up.

``pulumi up`` runs in a thread of its own, because the operation has better things to do meanwhile than to wait for
it: it watches the recovery and can stop the engine the moment the recovery is known to have failed.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pulumi.automation import (
    CommandError,
    ConcurrentUpdateError,
    LocalWorkspaceOptions,
    ProjectBackend,
    ProjectSettings,
    PulumiCommand,
    Stack,
    create_or_select_stack,
)

from dr.engine.backend import Backend, locked_error, state_folder
from dr.engine.command import InterruptibleCommand
from dr.model.config import PROJECT, Environment
from dr.model.errors import EngineError
from dr.model.recovered import RecoveredCluster

_GRACE_SECONDS = 60
T = TypeVar("T")

_TELLING = 12
"""How many of the engine's last lines to show when it fails."""


class RecoveryStack:
    """The recovery stack of one environment."""

    def __init__(self, environment: Environment, backend: Backend, installed: PulumiCommand) -> None:
        self._environment = environment
        self._backend = backend
        self._command = InterruptibleCommand(installed)
        self._clusters: Sequence[RecoveredCluster] = ()
        self._up: Future[None] | None = None

    @cached_property
    def _opened(self) -> Future[Stack]:
        return _in_background(self._open)

    def prepare(self) -> None:
        """Open the stack in the background, making it if it is new. Takes some seconds, none of which need waiting
        for.
        """
        _ = self._opened

    def up(self, clusters: Sequence[RecoveredCluster]) -> None:
        """Start ``pulumi up`` with ``clusters`` declared. Returns at once; :meth:`result` has the outcome."""
        self.prepare()
        self._clusters = clusters
        self._up = _in_background(self._bring_up)

    @property
    def running(self) -> bool:
        """Whether ``up`` was started and has not ended."""
        return self._up is not None and not self._up.done()

    def result(self, seconds: float | None = None) -> None:
        """Wait for ``up`` to end. Raises EngineError when it failed, TimeoutError after ``seconds``."""
        if self._up is not None:
            self._up.result(seconds)

    def interrupt(self) -> None:
        """Stop the engine: gracefully first, so that it writes its state, and by force when it does not obey."""
        for stop in (self._command.interrupt, self._command.interrupt, self._command.kill):
            if not self.running:
                return
            stop()
            with contextlib.suppress(EngineError, TimeoutError):
                self.result(_GRACE_SECONDS)

    def _open(self) -> Stack:
        folder = state_folder() / "workspace" / self._environment.name
        folder.mkdir(parents=True, exist_ok=True)
        if self._backend.folder:
            self._backend.folder.mkdir(parents=True, exist_ok=True)
        return self._explained(
            lambda: create_or_select_stack(
                stack_name=self._environment.name,
                project_name=PROJECT,
                program=self._program,
                opts=LocalWorkspaceOptions(
                    work_dir=str(folder),
                    project_settings=ProjectSettings(
                        name=PROJECT, runtime="python", main=str(folder), backend=ProjectBackend(url=self._backend.url)
                    ),
                    secrets_provider=self._environment.secrets_provider,
                    env_vars=self._variables(),
                    pulumi_command=self._command,
                ),
            )
        )

    def _variables(self) -> dict[str, str]:
        variables = {
            "PULUMI_BACKEND_URL": self._backend.url,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # The salt lies in the state, so that another operator's machine, or a lost folder, makes no difference.
            "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        }
        if kubeconfig := self._environment.kubernetes.kubeconfig:
            variables["KUBECONFIG"] = str(Path(kubeconfig).expanduser())
        return variables

    def _program(self) -> None:
        # Imported here: the provider's package takes most of a second, and only this needs it.
        from dr.stacks.recovery import declare_recovery_stack

        declare_recovery_stack(self._environment, self._clusters)

    def _bring_up(self) -> None:
        stack = self._opened.result()
        # Refresh first: a Cluster that was deleted by hand must be created again, not believed to be there.
        self._explained(lambda: stack.up(refresh=True, show_secrets=False, suppress_progress=True, color="never"))

    def _explained(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except ConcurrentUpdateError as error:
            raise locked_error(self._environment.name, _last_lines(self._output())) from error
        except (CommandError, OSError) as error:
            text = self._output() or str(error)
            if "incorrect passphrase" in text:
                raise EngineError(
                    "passphrase-wrong",
                    f"the passphrase does not open the state of {self._environment.name}",
                    "give the passphrase that the stack was made with (PULUMI_CONFIG_PASSPHRASE_FILE)",
                ) from error
            raise EngineError(
                "engine-failed",
                f"Pulumi failed: {_last_lines(text)}",
                "mend the cause and repeat the command: it goes on where it stopped",
            ) from error

    def _output(self) -> str:
        last = self._command.last
        return f"{last.stdout}\n{last.stderr}" if last and last.code != 0 else ""


def _last_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-_TELLING:])


def _in_background(work: Callable[[], Any]) -> Future[Any]:
    """Run ``work`` in a daemon thread. Not an executor: those are joined at exit, which would hold up a Ctrl-C."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="engine").start()
    return future
