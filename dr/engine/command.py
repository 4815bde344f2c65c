"""The ``pulumi`` program: found, checked, and run so that it survives us, and we survive it.

The Automation API's own runner leaves two things to chance. A Ctrl-C in the terminal reaches the child too, while the
reader of its output dies, so the child never writes its state (pulumi/pulumi#9103); and a SIGTERM to us leaves the
child running as an orphan. Here the child has a process group of its own, which only
:meth:`InterruptibleCommand.interrupt` signals, and its output is read to the end.

It is looked for without the Automation API, whose import takes longer than the look.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error
from semver import Version

from dr.core.errors import EngineError
from dr.engine.processes import ENGINE_MARK

_INSTALL = "install it (https://www.pulumi.com/docs/iac/download-install/) and see that `pulumi version` answers"
_SECONDS = 20

MINIMUM = Version(3, 200, 0)
"""The oldest engine with all that this tool uses; the major version has to be the Python SDK's."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A ``pulumi`` program that fits."""

    program: str
    version: Version


def find_pulumi() -> Installation:
    """The ``pulumi`` on PATH, else the one that the Automation API's installer put below the home folder.

    Raises EngineError ``pulumi-missing``, ``pulumi-broken`` or ``pulumi-wrong-version``.
    """
    own = Path.home() / ".pulumi" / "versions" / version("pulumi") / "bin" / "pulumi"
    program = shutil.which("pulumi") or (str(own) if own.is_file() else None)
    if program is None:
        raise EngineError("pulumi-missing", "there is no pulumi program on PATH", _INSTALL)
    try:
        said = subprocess.run([program, "version"], capture_output=True, text=True, timeout=_SECONDS, check=True).stdout
        found = Version.parse(said.strip().removeprefix("v"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise EngineError("pulumi-broken", f"{program} version failed: {error}", _INSTALL) from error
    if found.major != MINIMUM.major or found < MINIMUM:
        raise EngineError(
            "pulumi-wrong-version",
            f"{program} is version {found}; it must be {MINIMUM.major}.x, from {MINIMUM} on",
            _INSTALL,
        )
    return Installation(program=program, version=found)


class InterruptibleCommand(PulumiCommand):
    """A ``pulumi`` that can be asked to stop. One operation at a time."""

    def __init__(self, installed: Installation) -> None:
        # Not super().__init__(): the version was checked when `installed` was found, and asking again costs a process.
        self.command = installed.program
        self.version = installed.version
        self.last: CommandResult | None = None
        """The result of the last command: the errors that the Automation API raises carry only text."""
        self._child: subprocess.Popen[str] | None = None
        self._interrupted = False
        self._handover = threading.Lock()

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """Run one command to its end. Raises the Automation API's CommandError when it fails."""
        with subprocess.Popen(
            [self.command, "--non-interactive", *args],
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true", ENGINE_MARK: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        ) as child:
            with self._handover:
                self._child = child
                if self._interrupted:
                    self._ask_to_stop()
            output = _Reader(child.stdout, on_output)
            errors = _Reader(child.stderr, on_error)
            code = child.wait()
            self.last = CommandResult(stdout=output.text(), stderr=errors.text(), code=code)
        self._child = None
        if code != 0:
            raise create_command_error(self.last)
        return self.last

    def interrupt(self) -> None:
        """Ask the running command, or the next one, to stop.

        The engine takes a first SIGINT as "finish what is under way and write the state", and a second as "stop now".
        """
        with self._handover:  # not twice by one wish: the engine would take the second as "stop now"
            self._interrupted = True
            self._ask_to_stop()

    def kill(self) -> None:
        """End the child and everything it started (providers, language hosts), without a goodbye."""
        child = self._child
        if child is None or child.poll() is not None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            # By descent: the engine puts each plugin into a process group of its own.
            for process in [*psutil.Process(child.pid).children(recursive=True), psutil.Process(child.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def _ask_to_stop(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)


class _Reader:
    """Collects the lines of one stream in a thread of its own, handing each on."""

    def __init__(self, source: Any, callback: Callable[[str], Any] | None) -> None:
        self._lines: list[str] = []
        self._source = source
        self._callback = callback
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._source:
            self._lines.append(line.rstrip())
            if self._callback:
                self._callback(self._lines[-1])

    def text(self) -> str:
        """All of it, once the stream has ended."""
        self._thread.join()
        return "\n".join(self._lines)
