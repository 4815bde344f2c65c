"""Pulumi's provider plugins on this machine: each has the version of its Python package.

The engine downloads one that is missing in the middle of a run. That is too late: it may need what has just failed.
"""

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from dr.core.commands import command_line
from dr.core.errors import EngineError

_SECONDS = 300


def plugin_version(name: str) -> str:
    """The version that the plugin of the provider ``name`` ("kubernetes") has to have, such as ``v4.25.0``. Raises
    PackageNotFoundError where the provider's package is not installed.
    """
    return f"v{version(f'pulumi-{name}')}"


def plugin_is_there(name: str) -> bool:
    """Whether the plugin is on this machine: in Pulumi's own folder, or on PATH."""
    folder = _home() / "plugins" / f"resource-{name}-{plugin_version(name)}"
    return folder.is_dir() or shutil.which(f"pulumi-resource-{name}") is not None


def see_plugin(program: str, name: str) -> None:
    """See that the plugin of the provider ``name`` is there, and install it where it is not; ``program`` is the
    ``pulumi`` to do it with. Raises EngineError ``provider-missing``.
    """
    if plugin_is_there(name):
        return
    wanted = plugin_version(name)
    command = [program, "plugin", "install", "resource", name, wanted]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise EngineError(
            "provider-missing",
            f"Pulumi's {name} provider {wanted} is not on this machine and could not be installed: {said[-400:]}",
            f"{command_line('pulumi', *command[1:])}, where there is a network; it goes to {_home()}/plugins",
        ) from error


def _home() -> Path:
    return Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
