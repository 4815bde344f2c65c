"""The state of a stack, as ``pulumi stack export`` writes it: with nothing decrypted, and without a lock."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from dr.core.errors import EngineError
from dr.engine.installation import find_pulumi

_SECONDS = 60


def export_state(stack: str) -> Mapping[str, Any]:
    """The deployment of ``stack`` (``organization/project/name``), in the backend that Pulumi is logged in to. Raises
    EngineError.
    """
    try:
        done = subprocess.run(
            [find_pulumi().program, "stack", "export", "--stack", stack, "--non-interactive"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        document = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise EngineError(
            "state-unreadable",
            f"the state of {stack} cannot be read: {said}",
            "see that `pulumi stack export` works with the same variables",
        ) from error
    deployment = document.get("deployment") if isinstance(document, Mapping) else None
    return deployment if isinstance(deployment, Mapping) else {}
