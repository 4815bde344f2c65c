"""What the running stack is, as a Pulumi program sees it: from the stack's own configuration."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config

from dr.config.environment import Environment, parse_environment
from dr.config.infrastructure import ArgoCd, Durable, Platform, StackConfig
from dr.config.stack_file import own_keys, read_section


def environment_of_stack() -> Environment:
    """The environment that the running stack's configuration describes.

    Whatever file the engine was given is what counts (``pulumi up --config-file``), not one that is found here. Raises
    ConfigError.
    """
    return parse_environment(pulumi.get_stack(), _document(), where=_where())


def infrastructure_of_stack() -> StackConfig | ArgoCd | None:
    """The part of the infrastructure that the running stack's configuration says it ``holds``; None where it is an
    environment's. Raises ConfigError.
    """
    document = _document()
    holds = own_keys(document).get("holds")
    if holds is None:
        return None
    if holds == "durable":
        return read_section(Durable, pulumi.get_stack(), document, where=_where())
    if holds == "argocd":
        return read_section(ArgoCd, pulumi.get_stack(), document, where=_where())
    return read_section(Platform, pulumi.get_stack(), document, where=_where())


def _where() -> str:
    return f"the configuration of stack {pulumi.get_stack()}"


def _document() -> dict[str, Any]:
    """All keys of the stack, so that a misspelt one is refused: ``pulumi.Config`` answers only for keys one knows."""
    given: Mapping[str, str] = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    return {"config": {key: _value(text) for key, text in given.items()}}


def _value(text: str) -> object:
    """A configuration value. Pulumi hands a program text: JSON for what is structured, and a plain `false` or `10` for
    what the file has as a truth value or a number.
    """
    if text.startswith(("{", "[")) or text in {"true", "false"} or re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text):
        return json.loads(text)
    return text
