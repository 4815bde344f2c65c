"""The files that make a folder with ``Pulumi.<env>.yaml`` a Pulumi project of this tool."""

import sys
from importlib.resources import files
from pathlib import Path

import yaml

from dr.core.errors import AccessError, RequestError

_NAMES = ("Pulumi.yaml", "__main__.py", "policy/PulumiPolicy.yaml", "policy/__main__.py")


def project_files(virtualenv: str | None) -> dict[str, str]:
    """The text of each file by its name. ``virtualenv`` is the folder of the environment that has this tool, in which
    Pulumi is to run the program; None where Pulumi is to take the Python on its PATH.
    """
    return {name: _with(virtualenv, name, text) for name, text in _installed().items()}


def write_project(folder: Path, *, overwrite: bool) -> tuple[str, ...]:
    """Write the files into ``folder`` and give back the names of those that were written: not those that were as they
    are to be. Raises RequestError ``file-exists`` where one is another and ``overwrite`` does not allow to replace it;
    then nothing is written. Raises AccessError ``project-unwritable``.
    """
    changed = {}
    for name, text in project_files(_virtualenv()).items():
        path = folder / name
        if not path.exists() or path.read_bytes() != text.encode():
            changed[name] = text
    there = [name for name in changed if (folder / name).exists()]
    if there and not overwrite:
        raise RequestError(
            "file-exists",
            f"{folder} has another {' and '.join(there)}",
            "name another folder, or have them replaced: --overwrite",
        )
    for name, text in changed.items():
        _write(folder / name, text)
    return tuple(changed)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AccessError(
            "project-unwritable",
            f"{path} cannot be written: {error.strerror or error}",
            "see to the folder's permissions, or name another folder with --config-dir; then repeat the command",
        ) from error


def _virtualenv() -> str | None:
    return sys.prefix if sys.prefix != sys.base_prefix else None


def _installed() -> dict[str, str]:
    root = files("dr.program")
    return {name: root.joinpath(*name.split("/")).read_text(encoding="utf-8") for name in _NAMES}


def _with(virtualenv: str | None, name: str, text: str) -> str:
    if virtualenv is None or not name.endswith(".yaml"):
        return text
    document = yaml.safe_load(text)
    document["runtime"]["options"] = {"virtualenv": virtualenv}
    return yaml.safe_dump(document, sort_keys=False, width=1000)
