"""The versions of the tool and of what it works with, as they are on this machine."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files

from dr import __version__
from dr.config.extras import EXTRAS
from dr.core.errors import EngineError
from dr.engine.command import find_pulumi
from dr.engine.plugins import plugin_is_there, plugin_version
from dr.health.versions import LAST_IN_TREE, OLDEST, SAFE_PLUGIN


def parts() -> dict[str, str]:
    """What each part is, in words, by its name. What is missing is said in its place: nothing is raised."""
    return {
        "postgres-dr": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "Pulumi SDK": version("pulumi"),
        "Pulumi engine": _engine(),
        "provider kubernetes": _provider("kubernetes"),
        "kubernetes client": version("kubernetes"),
        "barman": version("barman"),
        "CloudNativePG": f"made for {OLDEST.major}.{OLDEST.minor} and newer; barmanObjectStore up to {LAST_IN_TREE}, "
        f"the Barman Cloud plugin from {SAFE_PLUGIN} on",
        **{f"extra {name}": _extra(packages) for name, packages in EXTRAS.items()},
        "program": str(files("dr.program")),
    }


def _engine() -> str:
    try:
        found = find_pulumi()
    except EngineError as error:
        return f"unusable: {error.cause}"
    return f"{found.version} ({found.program})"


def _provider(name: str) -> str:
    wanted = plugin_version(name)
    there = plugin_is_there(name)
    return wanted.removeprefix("v") if there else f"{wanted.removeprefix('v')}, not on this machine yet"


def _extra(packages: tuple[str, ...]) -> str:
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} is not installed")
    return ", ".join(found)
