"""The guard as a policy pack: ``pulumi up --policy-pack policy``."""

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.append(str(PROJECT))  # in a checkout the package lies there and is not installed

from dr.program.guard_pack import register  # noqa: E402 - the project's folder has to be known first

register(PROJECT)
