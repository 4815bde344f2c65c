"""The environment as a Pulumi program sees it: from the stack's own configuration."""

import json

import pulumi

from dr.model.config import PROJECT, Environment, parse_environment


def environment_of_stack() -> Environment:
    """The environment that the running stack's configuration describes.

    Whatever file the engine was given is what counts (``pulumi up --config-file``), not one that is found here. Raises
    ConfigError.
    """
    config = pulumi.Config(PROJECT)
    aliases = [str(field.alias) for name, field in Environment.model_fields.items() if name != "name"]
    given = {alias: value for alias in aliases if (value := config.get(alias)) is not None}
    document = {"config": {f"{PROJECT}:{alias}": _value(text) for alias, text in given.items()}}
    return parse_environment(pulumi.get_stack(), document, where=f"the configuration of stack {pulumi.get_stack()}")


def _value(text: str) -> object:
    """A configuration value; Pulumi hands a program the structured ones as JSON text."""
    return json.loads(text) if text.startswith(("{", "[")) else text
