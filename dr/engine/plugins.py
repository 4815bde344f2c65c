"""Pulumi's provider plugins on this machine: each has the version of its Python package.

The engine downloads one that is missing in the middle of a run. That is too late: it may need what has just failed.
"""

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from dr.core.errors import EngineError

_SECONDS = 300


def see_plugin(program: str, name: str) -> None:
    """See that the plugin of the provider ``name`` ("kubernetes") is there, and install it where it is not;
    ``program`` is the ``pulumi`` to do it with. Raises EngineError ``provider-missing``.
    """
    wanted = f"v{version(f'pulumi-{name}')}"
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    if (home / "plugins" / f"resource-{name}-{wanted}").is_dir() or shutil.which(f"pulumi-resource-{name}"):
        return
    command = [program, "plugin", "install", "resource", name, wanted]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise EngineError(
            "provider-missing",
            f"Pulumi's {name} provider {wanted} is not on this machine and could not be installed: {said[-400:]}",
            f"pulumi plugin install resource {name} {wanted}, where there is a network; it goes to {home}/plugins",
        ) from error
