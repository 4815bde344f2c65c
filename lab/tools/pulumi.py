"""Where the Pulumi engine, its Kubernetes provider and its Python language host come from.

In this order: the `pulumi` of the machine, if it can give the provider; the Automation API's own installer; the build
from Go modules. The first two are seconds where the network allows them; the third works wherever Go modules do.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from lab import versions
from lab.cache_keys import replace_text
from lab.errors import LabError
from lab.paths import Cache, State
from lab.shell import output, run
from lab.steps import Task
from lab.tools import programs
from lab.tools.toolchain import Toolchain

ONLINE_WITHIN = 20.0
"""Seconds that the installer and a plugin download are given: without a network they must not hold up the build."""

BUILT = (programs.PULUMI, programs.PULUMI_KUBERNETES, programs.PULUMI_LANGUAGE)
LANGUAGE_EXEC = "pulumi-language-python-exec"


@dataclass(frozen=True)
class Pulumi:
    """A complete Pulumi: where it is from, and which programs to put on the PATH."""

    origin: str
    programs: dict[str, str]
    """Name -> absolute path. The provider is absent if it lies among the user's Pulumi plugins."""


def chosen(where: State) -> Pulumi | None:
    """The Pulumi of this lab, if one was chosen and all of it is still there."""
    try:
        kept = Pulumi(**json.loads((where.root / "pulumi.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return kept if all(Path(program).exists() for program in kept.programs.values()) else None


def provide(where: State, cache: Cache, toolchain: Toolchain, task: Task) -> str | None:
    """Choose, fetch or build a Pulumi, and link it into the lab's `bin`.

    Raises:
        LabError: none of the three ways gave one.
    """
    kept = chosen(where)
    if kept is not None and (kept.origin != "built from modules" or kept == _built(cache, toolchain)):
        return f"Pulumi is here ({kept.origin})"
    found = _of_machine(where, task)
    if found is None and not all(program.binary(cache, toolchain).exists() for program in BUILT):
        found = _installed(cache, task)
    if found is None:
        for program in BUILT:
            task.note = f"building {program.name}"
            program.build(cache, toolchain, task.log, task.cancelled)
        found = _built(cache, toolchain)
    replace_text(where.root / "pulumi.json", json.dumps({"origin": found.origin, "programs": found.programs}))
    return None


def _built(cache: Cache, toolchain: Toolchain) -> Pulumi:
    paths = {program.name: str(program.binary(cache, toolchain)) for program in BUILT}
    paths[LANGUAGE_EXEC] = str(programs.PULUMI_LANGUAGE.folder(cache, toolchain) / LANGUAGE_EXEC)
    return Pulumi("built from modules", paths)


def _of_machine(where: State, task: Task) -> Pulumi | None:
    # Our own bin may stand first in the caller's PATH (`lab exec`): it must not be taken for the machine's.
    search = os.pathsep.join(
        folder for folder in os.environ.get("PATH", "").split(os.pathsep) if Path(folder) != where.bin
    )
    engine = shutil.which("pulumi", path=search)
    if engine is None or not _gives_provider(Path(engine), search, task):
        return None
    names = ("pulumi", "pulumi-resource-kubernetes", "pulumi-language-python", LANGUAGE_EXEC)
    return Pulumi("the machine's own", {name: path for name in names if (path := shutil.which(name, path=search))})


def _installed(cache: Cache, task: Task) -> Pulumi | None:
    task.note = "trying the Automation API's installer"
    root = cache.root / f"pulumi-{versions.PULUMI}"
    code = (
        "import sys, semver; from pulumi.automation import PulumiCommand; "
        "PulumiCommand.install(root=sys.argv[1], version=semver.VersionInfo.parse(sys.argv[2]))"
    )
    engine = root / "bin" / "pulumi"
    try:
        run(
            [sys.executable, "-c", code, root, versions.PULUMI],
            what="installing Pulumi with the Automation API",
            remedy="none needed: it is built from its modules instead",
            log=task.log,
            cancelled=task.cancelled,
            timeout=ONLINE_WITHIN,
        )
    except LabError:
        return None
    if not engine.exists() or not _gives_provider(engine, "", task):
        return None
    names = ("pulumi", "pulumi-language-python", LANGUAGE_EXEC)
    return Pulumi("the Automation API's installer", {name: str(engine.with_name(name)) for name in names})


def _gives_provider(engine: Path, search: str, task: Task) -> bool:
    """Whether this engine is of the right major version and has, or can download, the Kubernetes provider."""
    remedy = "none needed: another Pulumi is used instead"
    try:
        version = output([engine, "version"], what="asking for Pulumi's version", remedy=remedy).strip()
        if version.removeprefix("v").split(".")[0] != versions.PULUMI.split(".")[0]:
            return False
        if shutil.which("pulumi-resource-kubernetes", path=search):
            return True
        plugins = json.loads(output([engine, "plugin", "ls", "--json"], what="listing Pulumi's plugins", remedy=remedy))
        if any(plugin.get("name") == "kubernetes" and plugin.get("kind") == "resource" for plugin in plugins):
            return True
        run(
            [engine, "plugin", "install", "resource", "kubernetes", versions.PULUMI_KUBERNETES],
            what="downloading Pulumi's Kubernetes provider",
            remedy=remedy,
            log=task.log,
            cancelled=task.cancelled,
            timeout=ONLINE_WITHIN,
        )
    except (LabError, ValueError, AttributeError):
        return False
    return True
