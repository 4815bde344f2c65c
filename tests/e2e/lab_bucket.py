"""The bucket of the lab, from below: its objects are files, and what is known of each is an attribute of its file."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import httpx

from lab import paths
from lab.platform.gcs import BUCKET, URL
from lab.store_faults import StoreFault
from tests.support.waiting import HANG_SECONDS, wait_for

_METADATA = "user.metadata"
"""The extended attribute in which fake-gcs-server keeps an object's metadata (its ``backend/xattr.go``)."""


def folder(*parts: str) -> Path:
    """A folder of the bucket, or an object."""
    return paths.state().buckets.joinpath(BUCKET, *parts)


@contextmanager
def away(path: Path) -> Iterator[None]:
    """Without an object, or a folder of objects; back again afterwards."""
    # Beside the bucket, on the same file system, so that the attributes stay.
    hidden = paths.state().root / f"away-{path.name}"
    path.rename(hidden)
    try:
        yield
    finally:
        # The database archives meanwhile: what has come is kept.
        for arrived in [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else []:
            kept = hidden / arrived.relative_to(path)
            kept.parent.mkdir(parents=True, exist_ok=True)
            arrived.rename(kept)
        shutil.rmtree(path, ignore_errors=True)
        hidden.rename(path)


_FAULT = """
import json, sys
from lab import faults, paths
from lab.store_faults import StoreFault
with faults.bucket_fault(paths.state(), StoreFault(**json.loads(sys.argv[1]))) as state:
    print("started", flush=True)
    sys.stdin.read()
print(json.dumps(state.met))
"""


@contextmanager
def failing(fault: StoreFault) -> Iterator[list[str]]:
    """Within the context the object store has ``fault``; after it, which objects' requests had it. As
    :func:`unavailable`, by a process of its own.
    """
    met: list[str] = []
    command = [sys.executable, "-c", _FAULT, json.dumps(asdict(fault))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=paths.CHECKOUT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        try:
            yield met
        finally:
            told, _ = process.communicate()
            met += json.loads(told)
    assert answer() == httpx.codes.OK


@contextmanager
def unavailable() -> Iterator[None]:
    """Within the context the object store answers 503 to everything; after it, it is back.

    By a process of its own: the server that is started again is the lab's, and no child of the tests.
    """
    command = [sys.executable, "-m", "lab", "fault", "bucket", "--seconds", "900"]
    with subprocess.Popen(command, cwd=paths.CHECKOUT, stdout=subprocess.DEVNULL) as fault:
        try:
            wait_for(lambda: answer() == httpx.codes.SERVICE_UNAVAILABLE)
            yield
        finally:
            fault.send_signal(signal.SIGINT)
    assert answer() == httpx.codes.OK


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """With other content in an object, of the time that it had; as it was afterwards."""
    before, made = path.read_bytes(), datetime.fromisoformat(json.loads(os.getxattr(path, _METADATA))["Created"])
    _put(path, content, made)
    try:
        yield
    finally:
        _put(path, before, made)


def _put(path: Path, content: bytes, made: datetime) -> None:
    # Through the store itself, which keeps the content's checksums: clients compare them.
    options = {"uploadType": "media", "name": str(path.relative_to(folder()))}
    where = f"{URL}/upload/storage/v1/b/{BUCKET}/o"
    assert httpx.post(where, params=options, content=content, timeout=HANG_SECONDS, trust_env=False).is_success
    age(path, made)


def answer() -> int:
    """The status that the object store answers with; 0 where nobody listens."""
    try:
        return httpx.get(f"{URL}/storage/v1/b/{BUCKET}", timeout=HANG_SECONDS, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def age(path: Path, made: datetime) -> None:
    """Let an object have been made at another time."""
    known = json.loads(os.getxattr(path, _METADATA))
    text = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    os.setxattr(path, _METADATA, json.dumps({**known, "Created": text, "Updated": text}).encode())
