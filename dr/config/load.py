"""Reading ``Pulumi.<stack>.yaml``: environments, and the infrastructure that they live on."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import yaml

from dr.config.environment import Environment, InfrastructureStacks, parse_environment
from dr.config.infrastructure import ArgoCd, Durable, Infrastructure, Platform, StackConfig
from dr.config.stack_file import PROJECT, Section, own_keys, read_section
from dr.core.errors import ConfigError

M = TypeVar("M", bound=Section)


def load_environment(name: str, folder: Path) -> Environment:
    """The environment ``name`` from ``folder``. Raises ConfigError when there is none or its file is wrong."""
    documents = _environments(folder)
    if name not in documents:
        raise _unknown(name, folder, documents)
    others = {env: document for env, document in documents.items() if env != name}
    found = parse_environment(name, documents[name], where=str(_path(folder, name)), others=others)
    # What is looked in where a command does not say it is the same in the shell in which that is pasted.
    default = Path(os.environ.get("DR_CONFIG_DIR") or ".")
    return found if folder.resolve() == default.resolve() else found.said_with(config_dir=str(folder.absolute()))


def _unknown(name: str, folder: Path, known: Iterable[str]) -> ConfigError:
    cause = f"there is no environment {name!r}: {folder.absolute()} has no Pulumi.{name}.yaml"
    if listed := ", ".join(known):
        return ConfigError(
            "env-unknown",
            f"{cause} that describes one",
            f"write --env with one of: {listed} (or name another folder with --config-dir)",
        )
    required = (field.alias for key, field in Environment.model_fields.items() if field.is_required() and key != "name")
    return ConfigError(
        "env-unknown",
        f"{cause}, nor that of any other environment",
        "change to the folder that has it, or name that folder with --config-dir or DR_CONFIG_DIR; or write the file: "
        f"`config:` and below it, each with the prefix {PROJECT}:, at least {', '.join(map(str, required))} "
        "(docs/configuration.md)",
    )


def environment_names(folder: Path) -> tuple[str, ...]:
    """The environments that ``folder`` describes; the stacks of their infrastructure are none."""
    return tuple(_environments(folder))


def load_infrastructure(folder: Path, stacks: InfrastructureStacks) -> Infrastructure:
    """The infrastructure that ``stacks`` names, from ``folder``. Raises ConfigError when one of the two files is not
    there or is wrong, or when they contradict each other.
    """
    return Infrastructure(
        durable=_load(Durable, stacks.durable, folder), platform=_load(Platform, stacks.platform, folder)
    )


def load_part(stack: str, folder: Path) -> StackConfig | None:
    """The part of the infrastructure that ``stack`` holds; None where it is an environment's, or has no file. Raises
    ConfigError.
    """
    path = _path(folder, stack)
    holds = own_keys(_read(path)).get("holds") if path.is_file() else None
    if holds is None:
        return None
    return _load(Durable, stack, folder) if holds == "durable" else _load(Platform, stack, folder)


def infrastructure_of(environment: Environment, folder: Path) -> Infrastructure:
    """The infrastructure that the environment lives on, seen to cover it. Raises ConfigError, also where the
    environment names none.
    """
    if environment.infrastructure is None:
        raise ConfigError(
            "infrastructure-not-configured",
            f"environment {environment.name} does not say which stacks hold its infrastructure",
            "add postgres-dr:infrastructure to its file; docs/infrastructure.md says what the stacks' files hold",
        )
    found = load_infrastructure(folder, environment.infrastructure)
    found.check_covers(environment)
    return found


def argocd_of(environment: Environment, folder: Path) -> ArgoCd | None:
    """The stack that brings Argo CD, None where the environment names none. Raises ConfigError."""
    stack = environment.infrastructure.argocd if environment.infrastructure else None
    return _load(ArgoCd, stack, folder) if stack else None


def _load(model: type[M], stack: str, folder: Path) -> M:
    path = _path(folder, stack)
    if not path.is_file():
        raise ConfigError(
            "infrastructure-not-configured",
            f"there is no {path}, which is to describe the stack {stack}",
            "write it; those of this project are examples, and docs/configuration.md has every key",
        )
    return read_section(model, stack, _read(path), where=str(path))


def _path(folder: Path, stack: str) -> Path:
    return folder / f"Pulumi.{stack}.yaml"


def _environments(folder: Path) -> dict[str, object]:
    """The documents of the environments; those of other stacks say what they hold."""
    documents = {found[1]: _read(path) for path in sorted(folder.glob("Pulumi.*.yaml")) if (found := _named(path))}
    return {name: document for name, document in documents.items() if "holds" not in own_keys(document)}


def _named(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"Pulumi\.([a-z0-9][-a-z0-9]*)\.yaml", path.name)


def _read(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "config-unreadable", f"{path} cannot be read: {error}", "correct the file; it is YAML"
        ) from error
