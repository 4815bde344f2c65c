"""Processes of this machine."""

import contextlib
import getpass
import os
import signal
import socket

import psutil

from dr.core.history import Holder

ENGINE_MARK = "POSTGRES_DR_ENGINE"
"""The variable that tells an engine that we started, and its plugins, from any other: the process ID of its ``dr``."""
_PLUGIN, _ENGINE = "pulumi-", "pulumi"
_END_SECONDS = 5


def this_process() -> Holder:
    """Who we are. In a container the user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid-{os.getuid()}"
    return Holder(user=user, host=socket.gethostname(), pid=os.getpid())


def known_dead(holder: Holder | None) -> bool:
    """Whether ``holder`` was a process of this machine that is gone. Of other machines nothing is known."""
    if holder is None or holder.host != socket.gethostname():
        return False
    try:
        # A zombie is one that nobody waited for, as in a container whose first process does not.
        return psutil.Process(holder.pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def orphaned_engine(holder: Holder | None) -> bool:
    """Whether ``holder`` is an engine on this machine whose ``dr`` was killed: it can only fail, and has to end."""
    if holder is None or holder.host != socket.gethostname():
        return False
    try:
        return _left_alone(psutil.Process(holder.pid))
    except psutil.Error:
        return False


def end_orphan(holder: Holder, *, limit: float) -> None:
    """Ask an orphaned engine to write its state and end; after ``limit`` seconds, end it."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(holder.pid)
        process.send_signal(signal.SIGINT)
        try:
            process.wait(limit)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(limit)


def end_orphaned_plugins() -> None:
    """End the plugins whose engine died with its ``dr``: nobody waits for them, and they notice only after minutes."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.name().startswith(_PLUGIN) and _left_alone(process) and not _has_engine(process):
                process.kill()
                process.wait(_END_SECONDS)


def _left_alone(process: psutil.Process) -> bool:
    """Whether it was started by a ``dr`` that is gone. Its parent does not tell: what takes orphans in is not always
    process 1, and ``dr`` itself may be that. Raises psutil.Error.
    """
    starter = process.environ().get(ENGINE_MARK, "")
    if not starter.isdecimal():
        return False
    try:
        found = psutil.Process(int(starter))
        # A later process may have been given the same ID.
        return found.status() == psutil.STATUS_ZOMBIE or found.create_time() > process.create_time()
    except psutil.NoSuchProcess:
        return True


def _has_engine(process: psutil.Process) -> bool:
    """Whether its engine still runs: one without its ``dr`` ends its plugins itself."""
    parent = process.parent()
    return parent is not None and parent.name() == _ENGINE
