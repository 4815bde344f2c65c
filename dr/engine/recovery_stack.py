"""Bringing the recovery stack up in the background.

The operation has better things to do than to wait for ``pulumi up``: it watches the recovery, and stops the engine the
moment the recovery is known to have failed. The Automation API itself is imported in the background too, while the
operation waits for Kubernetes.
"""

import contextlib
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dr.engine.backend import Backend, state_folder
from dr.engine.installation import Installation
from dr.model.changes import Changes
from dr.model.config import Environment
from dr.model.declaration import Declaration
from dr.model.errors import EngineError

if TYPE_CHECKING:
    from pulumi.automation import Stack

    from dr.engine.command import InterruptibleCommand

_GRACE_SECONDS = 60


class RecoveryStack:
    """The recovery stack of one environment."""

    def __init__(self, environment: Environment, backend: Backend, installed: Installation) -> None:
        self._environment = environment
        self.backend = backend
        self._installed = installed
        self._declaration = Declaration()
        self._up: Future[None] | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Of the program that runs it."""
        return {"Pulumi": str(self._installed.version)}

    def prepare(self) -> None:
        """Open the stack in the background, making it if it is new. Takes seconds that nobody has to wait for."""
        _ = self._opened

    def up(self, declaration: Declaration) -> None:
        """Start ``pulumi up`` with ``declaration``, after one that runs. Returns at once; :meth:`result` has the
        outcome of both.
        """
        self.prepare()
        before = self._up
        self._up = _in_background(lambda: self._bring_up(before, declaration))

    def forget(self) -> None:
        """Start taking everything out of the state, touching nothing else. Returns at once, as :meth:`up`."""
        self.prepare()
        self._up = _in_background(self._forget)

    def preview(self, declaration: Declaration) -> Changes:
        """What ``up`` with ``declaration`` would do. Changes nothing, and makes no stack. Raises EngineError."""
        self._declaration = declaration
        return cast("Changes", _in_background(self._preview).result())

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
        for by_force in (False, False, True):
            if not self.running:
                return
            if by_force:
                self._command.kill()
            else:
                self._command.interrupt()
            with contextlib.suppress(EngineError, TimeoutError):
                self.result(_GRACE_SECONDS)

    @cached_property
    def _command(self) -> "InterruptibleCommand":
        from dr.engine.command import InterruptibleCommand

        return InterruptibleCommand(self._installed)

    @cached_property
    def _opened(self) -> "Future[Stack]":
        return _in_background(self._open)

    def _open(self) -> "Stack":
        return self._open_in(self.backend, state_folder() / "workspace" / self._environment.name, make=True)

    def _open_in(self, backend: Backend, folder: Path, *, make: bool) -> "Stack":
        from dr.engine.workspace import open_stack

        return open_stack(self._environment, backend, self._command, folder=folder, program=self._program, make=make)

    def _program(self) -> None:
        # Imported here: the provider's package takes most of a second, and only this needs it.
        from dr.stacks.recovery import declare_recovery_stack

        declare_recovery_stack(self._environment, self._declaration)

    def _bring_up(self, before: "Future[None] | None", declaration: Declaration) -> None:
        from dr.engine.workspace import bring_up

        if before is not None:
            before.result()
        self._declaration = declaration
        bring_up(self._environment, self._command, self._opened.result())

    def _preview(self) -> Changes:
        from dr.engine.preview import preview

        # A folder of its own: whoever only looks leaves nothing behind, not even a new stack.
        with tempfile.TemporaryDirectory(prefix="dr-preview-") as folder:
            workspace = Path(folder, "workspace")
            try:
                stack = self._open_in(self.backend, workspace, make=False)
            except EngineError as error:
                if error.code != "stack-missing":
                    raise
                nowhere = Backend(url=f"file://{folder}", stack=self._environment.name)
                stack = self._open_in(nowhere, workspace, make=True)
            return preview(self._environment, self._command, stack)

    def _forget(self) -> None:
        from dr.engine.workspace import forget

        forget(self._environment, self._command, self._opened.result())


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
