"""Finding the ``pulumi`` program, and saying clearly when it is not there or not the right one.

It is looked for without the Automation API, whose import takes longer than the look.
"""

import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from semver import Version

from dr.core.errors import EngineError

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
        raise EngineError("pulumi-broken", f"{program} does not tell its version: {error}", _INSTALL) from error
    if found.major != MINIMUM.major or found < MINIMUM:
        raise EngineError(
            "pulumi-wrong-version",
            f"{program} is version {found}; it has to be {MINIMUM.major}.x, from {MINIMUM} on",
            _INSTALL,
        )
    return Installation(program=program, version=found)
