"""Processes of this machine."""

import socket

import psutil

from dr.model.holder import Holder


def known_dead(holder: Holder | None) -> bool:
    """Whether ``holder`` was a process of this machine that is gone. Of other machines nothing is known."""
    return holder is not None and holder.host == socket.gethostname() and not psutil.pid_exists(holder.pid)
