"""One small text that outlives the cluster: an object in a bucket, or a file, replaced only where nobody was quicker.

A bucket compares generations by itself. A folder cannot compare and replace in one go, so a lock is held meanwhile;
that keeps apart the processes of one machine, which is all that a folder is good for.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud import storage

from dr.archive.object_store import failures_explained
from dr.config.environment import BackupPlace
from dr.core.errors import AccessError

_SECONDS = 10
_NOBODY = "0"
"""The version of a text that is not there; Cloud Storage calls it that, too."""


class KeptText(Protocol):
    """Where a text is kept. Versions are opaque."""

    where: str

    def read(self) -> tuple[str, str] | None:
        """The text and its version, or None. Raises AccessError."""

    def write(self, text: str, *, over: str | None) -> bool:
        """Replace the version ``over``, None where there was none; False when it is not that any more. Raises
        AccessError.
        """


def kept_text(folder: str, name: str) -> KeptText:
    """The text ``name`` in ``folder``, which is ``gs://bucket/prefix`` or ``file:///folder``."""
    if folder.startswith("gs://"):
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        return _InBucket(bucket, "/".join(part for part in (prefix.strip("/"), name) if part))
    return _InFolder(Path(folder.removeprefix("file://")).expanduser() / name)


class _InBucket:
    def __init__(self, bucket: str, name: str) -> None:
        self.where = f"gs://{bucket}/{name}"
        self._place = BackupPlace(bucket=bucket, path=name)
        self._name = name

    def read(self) -> tuple[str, str] | None:
        with failures_explained(self._place):
            blob = self._blob()
            try:
                blob.reload(retry=None, timeout=_SECONDS)
                text = blob.download_as_text(retry=None, timeout=_SECONDS)
            except NotFound:
                return None
            # Of before the text was read: whoever changes it in between makes a later write fail, and loses nothing.
            return text, str(blob.generation)

    def write(self, text: str, *, over: str | None) -> bool:
        with failures_explained(self._place):
            try:
                self._blob().upload_from_string(
                    text,
                    content_type="application/json",
                    if_generation_match=int(over or _NOBODY),
                    retry=None,
                    timeout=_SECONDS,
                )
            except PreconditionFailed:
                return False
        return True

    def _blob(self) -> storage.Blob:
        return storage.Client().bucket(self._place.bucket).blob(self._name)


class _InFolder:
    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def read(self) -> tuple[str, str] | None:
        with _explained(self._path):
            return self._read()

    def write(self, text: str, *, over: str | None) -> bool:
        with _explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._path.with_suffix(".lock")):
                now = self._read()
                if (now[1] if now else None) != over:
                    return False
                beside = self._path.with_suffix(f".{os.getpid()}.new")
                beside.write_text(text, encoding="utf-8")
                beside.replace(self._path)
        return True

    def _read(self) -> tuple[str, str] | None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return text, hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AccessError(
            "journal-unusable",
            f"{path} cannot be read or written: {error.strerror or error}",
            "make room, or mend its permissions; it is where a rebuild is remembered",
        ) from error
