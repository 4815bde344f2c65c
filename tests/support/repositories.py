"""Git repositories for tests, made with Git itself."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr.core.errors import DrError
from lab.data.repository import files


def git(folder: Path, *arguments: str) -> str:
    ended = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ended.stdout.rstrip("\n")


def platform_in(folder: Path, url: str = "https://git.example.test/platform") -> Path:
    """The platform's manifests as the one commit of a new repository in ``folder``, with somebody to commit more."""
    for path, text in files(url, declares_enabled=False).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "ann")
    git(folder, "config", "user.email", "ann@example.test")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=The platform")
    return folder


@contextlib.contextmanager
def fails(kind: type[DrError], code: str) -> Iterator[pytest.ExceptionInfo[DrError]]:
    """What is done in here raises that error."""
    with pytest.raises(kind) as raised:
        yield raised
    assert (raised.value.code, bool(raised.value.remedy)) == (code, True)


def commit_at(remote: Path, name: str, text: str = "x: 1\n", *, branch: str = "main") -> str:
    """Somebody else's commit on the remote; its id."""
    work = remote.parent / "work"
    git(work, "checkout", "-qB", branch)
    (work / name).write_text(text)
    git(work, "add", "-A")
    git(work, "commit", "-qm", f"more: {name}")
    git(work, "push", "-q", "origin", branch)
    return git(work, "rev-parse", "HEAD")
