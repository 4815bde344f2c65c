"""The bucket of the lab, from below: its objects are files, and what is known of each is an attribute of its file."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lab import paths
from lab.platform.gcs import BUCKET

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


def age(path: Path, made: datetime) -> None:
    """Let an object have been made at another time."""
    known = json.loads(os.getxattr(path, _METADATA))
    text = made.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    os.setxattr(path, _METADATA, json.dumps({**known, "Created": text, "Updated": text}).encode())
