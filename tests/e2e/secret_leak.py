"""Secrets that are planted, and where they must not turn up."""

import base64
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_SECONDS = 0.02


@dataclass(frozen=True)
class PlantedSecrets:
    """Secrets by what they are. ``told`` is what was said by programs meanwhile."""

    secrets: Mapping[str, str]
    told: list[str] = field(default_factory=list)

    def in_text(self, text: str) -> set[str]:
        """Those that stand in ``text``, as they are or as base64."""
        return {name for name, value in self.secrets.items() if any(form in text for form in _forms(value))}

    def below(self, *folders: Path) -> dict[str, set[str]]:
        """The files below ``folders`` that have any, with which."""
        found = {}
        for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
            if names := self.in_text(path.read_bytes().decode(errors="replace")):
                found[str(path)] = names
        return found

    @contextmanager
    def watched(self) -> Iterator[dict[str, set[str]]]:
        """Within the context the command lines of all processes of the machine are looked at, again and again."""
        seen: dict[str, set[str]] = {}
        over = threading.Event()

        def look() -> None:
            while not over.wait(_SECONDS):
                for line in _command_lines():
                    if names := self.in_text(line):
                        seen[line] = names

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()


def _forms(value: str) -> Iterable[str]:
    return (value, base64.b64encode(value.encode()).decode())


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
