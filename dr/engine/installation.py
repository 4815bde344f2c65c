"""Finding the ``pulumi`` program, and saying clearly when it is not there or not the right one."""

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

from pulumi.automation import PulumiCommand
from pulumi.automation.errors import InvalidVersionError
from semver import VersionInfo

from dr.model.errors import EngineError

_INSTALL = "install it (https://www.pulumi.com/docs/iac/download-install/) and see that `pulumi version` answers"
MINIMUM = VersionInfo(3, 200, 0)
"""The oldest engine that has what this tool uses; older ones lack the event server and the fallback to the state's
secrets.
"""


def find_pulumi() -> PulumiCommand:
    """The ``pulumi`` on PATH, else the one the Automation API's installer put below the home folder.

    Raises EngineError ``pulumi-missing`` or ``pulumi-wrong-version``.
    """
    own = Path.home() / ".pulumi" / "versions" / version("pulumi")
    roots = [None, str(own)] if (own / "bin" / "pulumi").is_file() else [None]
    for root in roots:
        try:
            return PulumiCommand(root=root, version=MINIMUM)
        except FileNotFoundError:
            continue
        except InvalidVersionError as error:
            raise EngineError("pulumi-wrong-version", f"the pulumi on PATH does not fit: {error}", _INSTALL) from error
        except (OSError, subprocess.CalledProcessError) as error:
            raise EngineError("pulumi-broken", f"the pulumi on PATH does not run: {error}", _INSTALL) from error
    raise EngineError("pulumi-missing", f"there is no pulumi program on PATH ({os.environ.get('PATH', '')})", _INSTALL)
