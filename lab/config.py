"""The project's configuration as it is on the lab: the checkout's files with a few values laid over them.

What differs is data, in `overrides`; everything else is the very configuration that production uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.cache_keys import replace_text
from lab.data import repository
from lab.data.environments import ENVIRONMENTS, Environment
from lab.errors import LabError
from lab.gcp import component
from lab.paths import CHECKOUT, State

PREFIX = "postgres-dr:"
"""Of the project's keys in a Pulumi configuration file."""


def overrides(where: State, environment: Environment) -> dict[str, Any]:
    """What is different on the lab."""
    return {
        "kubernetes": {"context": environment.context},
        "smokeTestUrl": environment.health_url,
        "stateBackend": f"file://{where.pulumi}",
        # Nobody listens there: the lab asks nothing of the world outside.
        "cloudStatusUrl": "http://127.0.0.1:9/incidents.json",
    }


def stack_overrides(where: State) -> dict[str, dict[str, Any]]:
    """What is different on the lab of the stacks that all environments share, by the name of each one's file."""
    state = {"stateBackend": f"file://{where.pulumi}"}
    argocd = {
        **state,
        "kubernetes": {"context": ENVIRONMENTS[-1].context},
        "chart": {"repository": component.CHARTS_URL},
        "repository": repository.url(where),
    }
    # A gcloud of the machine has nothing to do with the lab.
    return {"durable": state, "platform": {**state, "operatorCredentials": False}, "argocd": argocd}


def chart_version(checkout: Path = CHECKOUT) -> str | None:
    """The version of Argo CD's chart that the checkout asks for; None if it declares no Argo CD."""
    if not _file(checkout, "argocd").exists():
        return None
    return str(_document(checkout, "argocd")["config"][PREFIX + "chart"]["version"])


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` on top: mappings are merged at every depth, any other value is replaced."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = overlaid(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def write(where: State, checkout: Path = CHECKOUT) -> None:
    """Write the configuration folder of the lab.

    Raises:
        LabError: a file of the checkout is missing or is no configuration.
    """
    where.pulumi.mkdir(parents=True, exist_ok=True)
    replace_text(where.config / "Pulumi.yaml", _text(checkout / "Pulumi.yaml"))
    stacks = {environment.name: overrides(where, environment) for environment in ENVIRONMENTS}
    shared = {stack: over for stack, over in stack_overrides(where).items() if _file(checkout, stack).exists()}
    for stack, over in (stacks | shared).items():
        document = _document(checkout, stack)
        document["config"] = overlaid(document["config"], {PREFIX + key: value for key, value in over.items()})
        note = f"# Written by `python -m lab up` from {_file(checkout, stack)}; edit that one.\n"
        replace_text(where.config / _file(checkout, stack).name, note + yaml.safe_dump(document, sort_keys=False))


def _file(checkout: Path, stack: str) -> Path:
    return checkout / f"Pulumi.{stack}.yaml"


def _document(checkout: Path, stack: str) -> dict[str, Any]:
    file = _file(checkout, stack)
    document = yaml.safe_load(_text(file))
    if not isinstance(document, dict) or not isinstance(document.get("config"), dict):
        raise LabError(f"reading {file.name}", "it has no mapping `config`", f"put {file} right")
    return document


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise LabError(
            f"reading {file.name}", f"{file}: {error.strerror}", "run the lab from a whole checkout"
        ) from error
