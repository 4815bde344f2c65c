"""One stack, with its engine in the background.

The operation has better things to do than to wait for ``pulumi up``: it watches what comes of it, and stops the engine
the moment that it is known to be in vain. The Automation API itself is imported in the background too, while the
operation waits for Kubernetes.
"""

import contextlib
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from dr.core.commands import pulumi
from dr.core.errors import DrError, EngineError
from dr.engine.backend import Backend, state_folder
from dr.engine.changes import Changes
from dr.engine.command import Installation
from dr.engine.plugins import see_plugin

if TYPE_CHECKING:
    from pulumi.automation import Stack

    from dr.engine.command import InterruptibleCommand

_GRACE_SECONDS = 60
_OPEN_SECONDS = 90.0
"""How long to wait for a state to be opened: a bucket's is, within seconds."""


class BackgroundStack(ABC):
    """What every stack of this tool can do; a subclass has the program, and what starts it."""

    providers: ClassVar[tuple[str, ...]] = ("kubernetes",)
    """The providers that its program needs a plugin of."""

    def __init__(self, backend: Backend, installed: Installation) -> None:
        self.backend = backend
        self._installed = installed
        self._up: Future[None] | None = None

    @property
    def versions(self) -> dict[str, str]:
        """Of the program that runs it."""
        return {"Pulumi": str(self._installed.version)}

    def check(self, seconds: float = _OPEN_SECONDS) -> None:
        """See that a run would get what it needs: the providers' plugins, which are installed where they are missing,
        and the state, its secrets opened. Makes no stack. Raises EngineError; ``state-unreadable`` after ``seconds``
        too.
        """
        for provider in self.providers:
            see_plugin(self._installed.program, provider)
        opened = in_background(self._see_state)
        try:
            opened.result(seconds)
        except TimeoutError:
            self._command.kill()
            raise self._unreadable(f"there is no answer within {seconds:.0f} s") from None

    def abandon(self) -> None:
        """End a :meth:`check` that nobody waits for any more: nothing of it outlives this process."""
        self._command.kill()

    def _see_state(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dr-look-") as folder:
            try:
                stack = self._existing(Path(folder))
                if stack is not None:
                    from dr.engine.workspace import resources_held

                    # An export has the secrets in plain text, so it is one only with the right passphrase.
                    resources_held(self._command, stack)
            except EngineError as error:
                if error.code != "engine-failed":
                    raise
                raise self._unreadable(error.cause) from error
            except ValueError as error:
                raise self._unreadable(f"it is not valid JSON: {error}") from error

    def _unreadable(self, why: str) -> EngineError:
        return EngineError(
            "state-unreadable",
            f"the state of {self.backend.stack} in {self.backend.url} cannot be read: {why}",
            f"see that this works: {pulumi(self.backend.url, 'stack', 'ls')}",
        )

    def prepare(self) -> None:
        """Open the stack in the background, making it if it is new. Takes seconds that nobody has to wait for."""
        _ = self._opened

    @property
    def running(self) -> bool:
        """Whether something was started and has not ended."""
        return self._up is not None and not self._up.done()

    def result(self, seconds: float | None = None) -> None:
        """Wait for what was started to end. Raises EngineError when it failed, TimeoutError after ``seconds``."""
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
            with contextlib.suppress(DrError, TimeoutError):
                self.result(_GRACE_SECONDS)

    @abstractmethod
    def _program(self) -> None:
        """Declare what the stack holds. Imports what it declares with: that takes time, and only this needs it."""

    def _start(self, work: "Callable[[InterruptibleCommand, Stack], None]") -> None:
        """Start ``work`` on the opened stack, after what runs already. Returns at once."""
        self.prepare()
        before = self._up

        def run() -> None:
            if before is not None:
                before.result()
            work(self._command, self._opened.result())

        self._up = in_background(run)

    def _ask(self, question: "Callable[[InterruptibleCommand, Stack], Any]") -> Any:
        """The answer to ``question`` of the stack. Where there is none yet, of an empty one: a look leaves
        nothing behind. Raises EngineError.
        """
        return in_background(lambda: self._answer(question)).result()

    def _preview(self, targets: Collection[str] = ()) -> Changes:
        from dr.engine.preview import preview

        return cast("Changes", self._ask(lambda command, stack: preview(command, stack, targets=targets)))

    @cached_property
    def _command(self) -> "InterruptibleCommand":
        from dr.engine.command import InterruptibleCommand

        return InterruptibleCommand(self._installed)

    @cached_property
    def _opened(self) -> "Future[Stack]":
        return in_background(
            lambda: self._open_in(self.backend, state_folder() / "workspace" / self.backend.stack, make=True)
        )

    def _open_in(self, backend: Backend, folder: Path, *, make: bool) -> "Stack":
        from dr.engine.workspace import open_stack

        return open_stack(backend, self._command, folder=folder, program=self._program, make=make)

    def _answer(self, question: "Callable[[InterruptibleCommand, Stack], Any]") -> Any:
        with tempfile.TemporaryDirectory(prefix="dr-preview-") as folder:
            workspace = Path(folder, "workspace")
            return question(self._command, self._existing(workspace) or self._empty(workspace, Path(folder)))

    def _existing(self, workspace: Path) -> "Stack | None":
        kept = self.backend.folder
        if kept is not None and not kept.is_dir():
            return None  # Pulumi would not call that a stack that is missing, but a backend that is broken.
        try:
            return self._open_in(self.backend, workspace, make=False)
        except EngineError as error:
            if error.code == "stack-missing":
                return None
            raise

    def _empty(self, workspace: Path, folder: Path) -> "Stack":
        return self._open_in(replace(self.backend, url=f"file://{folder}"), workspace, make=True)


def in_background(work: Callable[[], Any]) -> Future[Any]:
    """Run ``work`` in a daemon thread. Not an executor: those are joined at exit, which would hold up a Ctrl-C."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is handed to whoever asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="engine").start()
    return future
