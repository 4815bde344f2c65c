"""The tool as it is installed from its wheel, in a virtual environment that knows nothing of the checkout.

What the wheel depends on is not downloaded: the environment has links to what the tests themselves run with, and to
nothing that the wheel does not ask for.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("dr", "pyproject.toml", "README.md", "LICENSE")
COMPILED = "psycopg2"
"""What barman asks for, and psycopg2-binary stands in for: overrides.txt."""


def build_wheel(folder: Path) -> Path:
    """The wheel, built in ``folder`` from a copy of the sources, with the setuptools that the tests run with."""
    sources = folder / "sources"
    sources.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, sources)
    _pip("wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(folder / "wheel"), str(sources))
    (wheel,) = (folder / "wheel").iterdir()
    return wheel


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel."""

    folder: Path

    def program(self, name: str) -> str:
        return str(self.folder / "bin" / name)

    def run(
        self, *words: str, cwd: Path, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program of the environment, with no variables of the caller's but those that every program has."""
        kept = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH", "LANG", "TMPDIR"}}
        return subprocess.run(
            [self.program(words[0]), *words[1:]],
            cwd=cwd,
            env={**kept, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def install(wheel: Path, folder: Path, *extras: str, with_pip: bool = False) -> Installed:
    """A virtual environment in ``folder`` that has the wheel and what it needs with ``extras``; pip is what the engine
    asks for the packages of a program.
    """
    venv.create(folder, with_pip=with_pip)
    (packages,) = folder.glob("lib/python3*/site-packages")
    _pip("--python", str(folder / "bin" / "python"), "install", "--no-deps", "--no-index", "--quiet", str(wheel))
    (metadata,) = packages.glob("postgres_dr-*.dist-info")
    for found in _needed(Distribution.at(metadata), set(extras), set()):
        for name in {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}:
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(found.locate_file(name))))
    return Installed(folder)


def _needed(asking: Distribution, extras: set[str], seen: set[str]) -> Iterator[Distribution]:
    """What ``asking`` depends on with ``extras``, and so on; each once."""
    for text in asking.requires or ():
        wanted = Requirement(text)
        if wanted.marker and not any(wanted.marker.evaluate({"extra": extra}) for extra in (extras or {""})):
            continue
        if wanted.name == "postgres-dr":
            yield from _needed(asking, set(wanted.extras), seen)
        if wanted.name in seen or wanted.name == "postgres-dr":
            continue
        seen.add(wanted.name)
        try:
            found = distribution(wanted.name)
        except PackageNotFoundError:
            assert wanted.name == COMPILED, f"{asking.name} needs {wanted.name}, which the tests do not have"
            continue
        yield found
        yield from _needed(found, set(wanted.extras), seen)


def _pip(*words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
