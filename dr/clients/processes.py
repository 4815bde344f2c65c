"""Processes of this machine."""

import contextlib
import signal
import socket

import psutil

from dr.model.holder import Holder

ENGINE_MARK = "POSTGRES_DR_ENGINE"
"""The variable that tells an engine that we started from any other."""
_INIT = 1


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
        process = psutil.Process(holder.pid)
        parent = process.parent()
        left_alone = parent is None or (parent.pid == _INIT and "dr" not in parent.cmdline())
        return ENGINE_MARK in process.environ() and left_alone
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
