"""The environment as a Pulumi program sees it: from the stack's own configuration."""

import json
from collections.abc import Mapping

import pulumi
from pulumi.runtime import config as runtime_config

from dr.model.config import Environment, parse_environment


def environment_of_stack() -> Environment:
    """The environment that the running stack's configuration describes.

    Whatever file the engine was given is what counts (``pulumi up --config-file``), not one that is found here. Raises
    ConfigError.
    """
    given = _whole_configuration()
    document = {"config": {key: _value(text) for key, text in given.items()}}
    return parse_environment(pulumi.get_stack(), document, where=f"the configuration of stack {pulumi.get_stack()}")


def _whole_configuration() -> Mapping[str, str]:
    """All keys of the stack, so that a misspelt one is refused: ``pulumi.Config`` answers only for keys one knows."""
    return {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}


def _value(text: str) -> object:
    """A configuration value; Pulumi hands a program the structured ones as JSON text."""
    return json.loads(text) if text.startswith(("{", "[")) else text
