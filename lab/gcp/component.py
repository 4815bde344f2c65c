"""The double of Google as a part of the lab: on ports of its own, over the cloud as the old infrastructure left it."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from lab import processes
from lab.cache_keys import content_key
from lab.gcp.addresses import endpoints
from lab.gcp.cloud import Cloud
from lab.paths import SOURCES, State
from lab.platform import gcs
from lab.platform.readiness import await_answer

NAME = "google"
HOST = "127.0.0.1"
PORTS = (14470, 14471, 14472)
"""Of the provider for gcp, the one for command, and HTTP."""
ADDRESS = f"{HOST}:{PORTS[2]}"
CHARTS_URL = f"http://{ADDRESS}/charts"
ROOM = {"CLUSTERS": 1}
"""The lab is one cluster."""


def up(where: State) -> str | None:
    """Have it serve.

    Raises:
        LabError: it died or was not ready in time.
    """
    command = [sys.executable, "-u", "-m", "lab.gcp", "--lab", str(where.root), "--project", gcs.PROJECT]
    settings = [content_key(Path(__file__).parent)]
    if not processes.ensure(where, NAME, command, settings=settings, env={"PYTHONPATH": str(SOURCES.parent)}):
        return "is up"
    await_answer(where, NAME, lambda: httpx.get(f"http://{ADDRESS}/", timeout=2, trust_env=False).is_success)
    return None


def variables() -> dict[str, str]:
    """By which the engine and `dr` find it."""
    return {"PULUMI_DEBUG_PROVIDERS": f"gcp:{PORTS[0]},command:{PORTS[1]}", **endpoints(ADDRESS)}


# What follows imports the SDK, which takes a second or two: only where it is used.


def cloud(where: State) -> Cloud:
    """What is in the lab's cloud."""
    return Cloud(where.cloud, gcs.PROJECT)


def sow(where: State, checkout: Path) -> None:
    """Have the cloud as the old infrastructure made it."""
    from lab.gcp import seed
    from lab.gcp.google import Google
    from lab.gcp.lab_backend import LabBackend

    where.cloud.unlink(missing_ok=True)
    seed.sow(Google(cloud(where), LabBackend(where), {"project": gcs.PROJECT}), checkout)
    with cloud(where).change() as contents:
        contents.quotas |= ROOM


def lose_cluster(where: State) -> None:
    """Have no cluster in the cloud any more, whoever took it away."""
    from lab.gcp import resource_types

    with cloud(where).change() as contents:
        contents.of(resource_types.CLUSTER.token).clear()
        contents.of(resource_types.NODE_POOL.token).clear()
