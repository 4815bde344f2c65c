"""Other programs, run with their output in a log, so that a failure can say why without flooding the screen."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError, last_lines


def run(
    command: Sequence[str | Path],
    *,
    what: str,
    remedy: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    cancelled: threading.Event | None = None,
    timeout: float | None = None,
) -> None:
    """Run `command` to its end, its output appended to `log`.

    Args:
        command: the program and its arguments.
        what: what this is, in the words of a failure.
        remedy: what to do about a failure.
        log: the file to append to; made with its folder if need be.
        env: added to the environment of this process.
        cwd: the folder to run in.
        cancelled: when set, the command (with its children) is ended.
        timeout: seconds after which the command counts as failed.

    Raises:
        LabError: the program is missing, failed, took too long or was cancelled.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        stream.write(f"$ {shlex.join(map(str, command))}\n".encode())
        stream.flush()
        try:
            process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise LabError(what, f"{command[0]}: {error.strerror}", remedy, log) from error
    deadline = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            try:
                status = process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if cancelled is not None and cancelled.is_set():
                    raise LabError(what, "it was cancelled", "run the command again", log) from None
                if deadline is not None and time.monotonic() > deadline:
                    raise LabError(what, f"it took longer than {timeout:.0f} s", remedy, log) from None
    finally:
        if process.poll() is None:
            _end(process)
    if status != 0:
        raise LabError(what, f"{Path(str(command[0])).name} ended with {status}\n{last_lines(log)}", remedy, log)


def _end(process: subprocess.Popen[bytes]) -> None:
    # First politely: a program that made mounts or temporary folders can then remove them.
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def output(command: Sequence[str | Path], *, what: str, remedy: str, env: Mapping[str, str] | None = None) -> str:
    """What a short command prints.

    Raises:
        LabError: the program is missing or failed; it quotes the program's own words.
    """
    try:
        done = subprocess.run(
            list(map(str, command)),
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )
    except OSError as error:
        raise LabError(what, f"{command[0]}: {error.strerror}", remedy) from error
    except subprocess.CalledProcessError as error:
        raise LabError(what, f"{command[0]} ended with {error.returncode}\n{error.stderr}", remedy) from error
    return done.stdout
