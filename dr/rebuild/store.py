"""What is remembered of a rebuild next to Pulumi's state: record and lease, while there is no cluster to keep them in.

A rebuild makes the very cluster that everything else is remembered in. So its journal and the lock that keeps a second
operator out lie where the state of its stacks lies, which has to survive anyway.

A bucket compares generations on its own. A folder cannot compare and replace in one go, so a lock is held meanwhile;
that keeps apart the processes of one machine, which is all that a folder is good for.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from google.api_core.exceptions import NotFound, PreconditionFailed
from google.cloud import storage
from pydantic import ValidationError

from dr.archive.gcs import failures_explained
from dr.config.backup_location import BackupLocation
from dr.config.environment import Environment
from dr.core.commands import CommandLines
from dr.core.errors import AccessError
from dr.core.history import LeaseSeen
from dr.engine.backend import Backend
from dr.engine.processes import this_process
from dr.run.record import Record


class RebuildRecords:
    """The record of an environment's rebuilds: as the record in its cluster, for its operations only."""

    def __init__(self, backend: str, environment: str, *, user: str) -> None:
        """``backend`` is the URL of the state's place, ``user`` who writes."""
        self.name = f"postgres-dr-{environment}.rebuild.json"
        self._text: TextStore = open_text_store(backend, self.name)
        self._user = user

    @property
    def where(self) -> str:
        """Where it is kept."""
        return self._text.where

    def read(self) -> Record | None:
        """The record, or None before the first rebuild. Raises AccessError."""
        found = self._text.read()
        return self._parsed(found[0]) if found else None

    def change(self, change: Callable[[Record], Record], *, now: datetime) -> Record:
        """Apply ``change`` to the record (an empty one at first) and keep it. Raises AccessError."""
        found = self._text.read()
        before = self._parsed(found[0]) if found else Record(updated=now, updated_by=self._user)
        after = change(before).model_copy(update={"updated": now, "updated_by": self._user})
        if not self._text.write(after.model_dump_json(), over=found[1] if found else None):
            raise AccessError(
                "journal-changed",
                f"{self.where} was changed by another run meanwhile",
                "see who else is working on it, and repeat the command",
            )
        return after

    def _parsed(self, text: str) -> Record:
        try:
            return Record.model_validate_json(text)
        except ValidationError as error:
            raise AccessError(
                "record-unreadable",
                f"{self.where} does not hold a record of this tool: {error}",
                "it was edited or made by a newer version; use that version, or save it and delete it",
            ) from error


class RebuildLease:
    """The lease that keeps a second operator out of a rebuild."""

    def __init__(self, backend: str, commands: CommandLines) -> None:
        """``backend`` is the URL of the state's place, ``commands`` are the environment's."""
        self.commands = commands
        self._text: TextStore = open_text_store(backend, f"postgres-dr-{commands.environment}.rebuild-lease.json")
        self.what = f"lease {self._text.where}"

    def read(self) -> LeaseSeen | None:
        """The lease, or None before the first rebuild. Raises AccessError. One that is not understood is as none."""
        found = self._text.read()
        if found is None:
            return None
        try:
            kept = json.loads(found[0])
            return LeaseSeen(
                holder=kept["holder"],
                acquired=datetime.fromisoformat(kept["acquired"]),
                renewed=datetime.fromisoformat(kept["renewed"]),
                duration=timedelta(seconds=kept["seconds"]),
                version=found[1],
            )
        except (ValueError, KeyError, TypeError):
            return LeaseSeen(holder="", acquired=None, renewed=None, duration=timedelta(0), version=found[1])

    def write(self, holder: str, now: datetime, duration: timedelta, *, over: LeaseSeen | None) -> bool:
        """Put ``holder`` into the lease in place of ``over``; an empty one gives it back.

        Returns False when it is not ``over`` any more: someone else was quicker. Raises AccessError.
        """
        acquired = over.acquired if over and over.holder == holder and over.acquired else now
        kept = {
            "holder": holder,
            "acquired": acquired.isoformat(),
            "renewed": now.isoformat(),
            "seconds": duration.total_seconds(),
        }
        return self._text.write(json.dumps(kept), over=over.version if over else None)


def rebuild_records(environment: Environment) -> RebuildRecords:
    """What is remembered of the environment's rebuilds."""
    return RebuildRecords(Backend.of(environment).url, environment.name, user=this_process().operator)


_SECONDS = 10
_NOBODY = "0"
"""The version of a text that is not there; Cloud Storage calls it that, too."""


class TextStore(Protocol):
    """Where a text is kept. Versions are opaque."""

    where: str

    def read(self) -> tuple[str, str] | None:
        """The text and its version, or None. Raises AccessError."""

    def write(self, text: str, *, over: str | None) -> bool:
        """Replace the version ``over``, None where there was none; False when it is not that any more. Raises
        AccessError.
        """


def open_text_store(folder: str, name: str) -> TextStore:
    """The text ``name`` in ``folder``, which is ``gs://bucket/prefix`` or ``file:///folder``."""
    if folder.startswith("gs://"):
        bucket, _, prefix = folder.removeprefix("gs://").partition("/")
        return _InBucket(bucket, "/".join(part for part in (prefix.strip("/"), name) if part))
    return _InFolder(Path(folder.removeprefix("file://")).expanduser() / name)


class _InBucket:
    def __init__(self, bucket: str, name: str) -> None:
        self.where = f"gs://{bucket}/{name}"
        self._place = BackupLocation(bucket=bucket, path=name)
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
            "make room, or fix its permissions; a rebuild's journal is kept there",
        ) from error
