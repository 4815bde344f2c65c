"""The options that every command of an environment takes."""

from collections.abc import Callable

import click


def options(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a command ``name`` with the options that every command of an environment takes."""

    def decorate(function: Callable[..., None]) -> click.Command:
        # The last one that is added is the first of the help.
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of prose."),
            click.option("--context", help="Must be the environment's own kubeconfig context; any other is refused."),
            click.option(
                "--config-dir",
                envvar="DR_CONFIG_DIR",
                type=click.Path(exists=True, file_okay=False),
                help="The folder with Pulumi.<env>.yaml.  [default: this project's; env: DR_CONFIG_DIR]",
            ),
            click.option("--env", "environment", required=True, help="The environment: its file is Pulumi.<env>.yaml."),
        ):
            function = option(function)
        return click.command(name)(function)

    return decorate
