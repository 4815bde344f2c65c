"""Where Pulumi keeps its state, and whether someone else is writing it."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from dr.config.stack_file import PROJECT
from dr.core.commands import pulumi
from dr.core.errors import AccessError, EngineError
from dr.core.history import Holder
from dr.engine.processes import end_orphan, end_orphaned_plugins, known_dead, orphaned_engine

STATE_FOLDER_VARIABLE = "DR_STATE_DIR"
_ORPHAN_SECONDS = 30
PASSPHRASE_VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def state_folder() -> Path:
    """The folder for what this tool keeps on this machine: ``$DR_STATE_DIR``, or the user's state folder."""
    given = os.environ.get(STATE_FOLDER_VARIABLE)
    return Path(given).expanduser() if given else platformdirs.user_state_path(PROJECT)


_ROOM = 2**20
"""What there has to be room for, in bytes: a journal and a report are smaller."""


def check_folder(folder: Path) -> None:
    """See that ``folder`` can be written, or made: in it, or in the nearest of its parents that is there. Leaves
    nothing behind. Raises AccessError ``state-folder-unusable``.
    """
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(_ROOM))
    except OSError as error:
        raise folder_unusable(folder, error) from error


def folder_unusable(place: Path, error: OSError) -> AccessError:
    """The error for a folder or file of this machine that cannot be written."""
    return AccessError(
        "state-folder-unusable",
        f"{place}, where this machine keeps what was done, cannot be written: {error.strerror or error}",
        f"make room there, or see to its permissions; or name another folder with {STATE_FOLDER_VARIABLE}",
    )


class StackOwner(Protocol):
    """What has a stack: an environment, or a part of the infrastructure. The stack has its name."""

    @property
    def name(self) -> str:
        """The stack's name."""

    @property
    def state_backend(self) -> str | None:
        """Where its state is kept; None for a folder of the user's own."""

    @property
    def secrets_provider(self) -> str:
        """What seals the secrets of its state."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Where one stack is kept. ``url`` is what ``PULUMI_BACKEND_URL`` takes; ``variables`` are what its providers read
    besides.
    """

    url: str
    stack: str
    secrets_provider: str = "passphrase"
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, kept: StackOwner, variables: Mapping[str, str] | None = None) -> "Backend":
        """The configured backend, or a folder of the user's own."""
        url = kept.state_backend or f"file://{state_folder() / 'pulumi'}"
        if url.startswith("file://"):
            url = f"file://{Path(url.removeprefix('file://')).expanduser()}"
        return cls(url=url, stack=kept.name, secrets_provider=kept.secrets_provider, variables=variables or {})

    @property
    def folder(self) -> Path | None:
        """The folder of a file backend, None for a remote one."""
        return Path(self.url.removeprefix("file://")) if self.url.startswith("file://") else None

    def check_passphrase(self, variables: Mapping[str, str]) -> None:
        """Raise EngineError unless the secrets provider has what it needs. An empty passphrase counts as one."""
        if self.secrets_provider != "passphrase":
            return
        given = next((name for name in PASSPHRASE_VARIABLES if name in variables), None)
        if given is None:
            raise EngineError(
                "passphrase-missing",
                f"the state of {self.stack} is sealed with a passphrase, and none is given",
                f"export {PASSPHRASE_VARIABLES[1]}=/path/to/file, or {PASSPHRASE_VARIABLES[0]}; "
                "or configure secretsProvider: gcpkms://...",
            )
        if given == PASSPHRASE_VARIABLES[1]:
            _check_readable(Path(variables[given]), self.stack)

    def check_unlocked(self, *, take_over: bool = False) -> None:
        """Raise EngineError ``state-locked`` when another run holds the stack, naming it.

        Pulumi's file and bucket backends lock by a JSON file for each run; it has no expiry, so the lock of a killed
        run stays. One whose process is known to be dead or left alone does not count, nor is any with ``take_over``:
        :meth:`clear_locks` removes them. Only a file backend is looked at here; a bucket's lock is met when the engine
        starts.
        """
        for path in self._locks():
            holder = _holder(path)
            if not take_over and not known_dead(holder) and not orphaned_engine(holder):
                raise locked_error(self.stack, _told(path), backend=self.url)

    def clear_locks(self, *, take_over: bool = False) -> None:
        """Remove the locks that :meth:`check_unlocked` lets pass, as ``pulumi cancel`` does, once what a killed ``dr``
        left behind has ended.
        """
        for path in self._locks():
            holder = _holder(path)
            if holder and orphaned_engine(holder):
                end_orphan(holder, limit=_ORPHAN_SECONDS)
            if take_over or known_dead(holder):
                path.unlink(missing_ok=True)
        end_orphaned_plugins()

    def _locks(self) -> list[Path]:
        if self.folder is None:
            return []
        return sorted((self.folder / ".pulumi" / "locks" / "organization" / PROJECT / self.stack).glob("*.json"))


def _check_readable(file: Path, stack: str) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise EngineError(
            "passphrase-missing",
            f"the passphrase of {stack} is in {file}, which cannot be read: {error.strerror}",
            f"see to the file that {PASSPHRASE_VARIABLES[1]} names",
        ) from error


def locked_error(stack: str, holder: str, *, backend: str = "") -> EngineError:
    """The error for a stack that another run holds. ``backend`` is the URL of its state, empty where not known."""
    return EngineError(
        "state-locked",
        f"the Pulumi state of {stack} is locked by another run: {holder}",
        "wait for that run. Only if its process is dead: repeat the command with --take-over, or "
        f"{pulumi(backend, 'cancel', '--yes', '--stack', f'organization/{PROJECT}/{stack}')} "
        "(both remove the lock, and stop nobody)",
    )


def _told(path: Path) -> str:
    lock = _read(path)
    holder = _holder(path)
    if holder is None:
        return f"see {path}"
    return f"process {holder.pid} of {holder.user} on {holder.host} since {lock.get('timestamp', 'some time')}"


def _holder(path: Path) -> Holder | None:
    lock = _read(path)
    try:
        return Holder(user=lock["username"], host=lock["hostname"], pid=int(lock["pid"]))
    except (KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return lock if isinstance(lock, dict) else {}
