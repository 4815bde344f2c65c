"""Content keys: a thing is rebuilt when, and only when, what it is made from has changed.

Whatever the cache holds is named `<name>-<key>`, and appears there only when it is complete: it is made in a temporary
neighbour and renamed. So a name that exists can be trusted, and two labs building at once cannot hurt one another.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

KEY_LENGTH = 16
"""Hexadecimal digits of a key; 64 bits make an accidental collision in one cache folder unthinkable."""


def content_key(*parts: str | bytes | Path) -> str:
    """A key of the given inputs, in their order.

    Args:
        parts: text and bytes count as themselves; a file by its content, a folder by the names and contents of all
            files below it (but for `__pycache__`). Where a path lies does not count.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    digest = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            # The length comes first, so that ("ab", "c") and ("a", "bc") differ.
            digest.update(len(piece).to_bytes(8, "big"))
            digest.update(piece)
    return digest.hexdigest()[:KEY_LENGTH]


def _pieces(part: str | bytes | Path) -> Iterable[bytes]:
    if isinstance(part, str):
        yield b"text"
        yield part.encode()
    elif isinstance(part, bytes):
        yield b"text"
        yield part
    elif part.is_dir():
        yield b"folder"
        for file in sorted(part.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield os.fsencode(file.relative_to(part))
                yield file.read_bytes()
    else:
        yield b"file"
        yield part.read_bytes()


def publish_folder(target: Path, make: Callable[[Path], None]) -> bool:
    """Let `make` fill a new folder and put it at `target` in one step; do nothing if `target` is there.

    Returns:
        Whether it had to be made.

    Raises:
        whatever `make` raises; then nothing is left at `target`.
    """
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        make(temporary)
        temporary.chmod(0o755)
        try:
            temporary.rename(target)
        except OSError:
            if not target.exists():  # else another checkout was faster with the same content
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def publish_file(target: Path, make: Callable[[Path], None]) -> bool:
    """The same for one file: `make` is given the path to write."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        make(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def replace_text(target: Path, text: str, mode: int = 0o644) -> bool:
    """Write a file in one step; say whether its content changed."""
    if target.exists() and target.read_text() == text:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.touch(mode=mode)
    temporary.write_text(text)
    temporary.replace(target)
    return True
