"""Reading ``Pulumi.<env>.yaml``."""

import re
from pathlib import Path

import yaml

from dr.model.config import Environment, parse_environment
from dr.model.errors import ConfigError


def load_environment(name: str, folder: Path) -> Environment:
    """The environment ``name`` from ``folder``. Raises ConfigError when there is none or its file is wrong."""
    files = {found[1]: path for path in sorted(folder.glob("Pulumi.*.yaml")) if (found := _named(path))}
    if name not in files:
        known = ", ".join(files) or "none"
        raise ConfigError(
            "env-unknown",
            f"there is no environment {name!r}: {folder} has no Pulumi.{name}.yaml",
            f"write --env with one of: {known} (or name another folder with --config-dir)",
        )
    documents = {env: _read(path) for env, path in files.items()}
    others = {env: document for env, document in documents.items() if env != name}
    return parse_environment(name, documents[name], where=str(files[name]), others=others)


def _named(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"Pulumi\.([a-z0-9][-a-z0-9]*)\.yaml", path.name)


def _read(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "config-unreadable", f"{path} cannot be read: {error}", "mend the file; it is YAML"
        ) from error
