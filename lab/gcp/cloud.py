"""The cloud that the double is over: one JSON file, changed by whoever holds its lock, process or thread."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Values = dict[str, Any]
"""Properties as the engine sends them: plain values by their names in the schema."""
Objects = dict[str, dict[str, Values]]
"""Token of a type -> ID -> properties."""


@dataclass
class Contents:
    """Everything there is in the cloud of one project."""

    project: str
    objects: Objects = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    """Names of buckets that somebody else in the world has."""
    content: dict[str, int] = field(default_factory=dict)
    """Bucket -> how many objects are in it, where no object store is asked."""
    disabled: list[str] = field(default_factory=list)
    """APIs that are not enabled."""
    denied: list[str] = field(default_factory=list)
    """Permissions that nobody has."""
    quotas: dict[str, int] = field(default_factory=dict)
    """Metric -> how many there may be."""
    pools: list[str] = field(default_factory=list)
    """Workload identity pools; the first cluster that wants one makes it, and it stays."""
    faults: list[dict[str, Any]] = field(default_factory=list)
    """What is to go wrong: `faults.Fault`, as plain values."""
    calls: list[str] = field(default_factory=list)
    """Every change that Google was asked for: `create gcp:storage/bucket:Bucket ID`."""
    uids: int = 100
    """The last unique ID that was given away."""

    def of(self, token: str) -> dict[str, Values]:
        """Every object of one type, by ID."""
        return self.objects.setdefault(token, {})


class Cloud:
    """The file."""

    def __init__(self, file: Path, project: str) -> None:
        self.file = file
        self.project = project
        self._threads = threading.Lock()

    @contextmanager
    def change(self) -> Iterator[Contents]:
        """The contents, to change: written when the context is left, and not if it is left by an error."""
        with self._held():
            found = self._read()
            yield found
            self._write(found)

    def read(self) -> Contents:
        """The contents as they are now."""
        with self._held():
            return self._read()

    def replace(self, contents: Contents) -> None:
        """Have these contents and no others."""
        with self._held():
            self._write(contents)

    @contextmanager
    def _held(self) -> Iterator[None]:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self._threads, self.file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> Contents:
        if not self.file.exists():
            return Contents(project=self.project)
        return Contents(**json.loads(self.file.read_text()))

    def _write(self, contents: Contents) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(asdict(contents), indent=1))
        new.replace(self.file)
