"""The options that every command of an environment takes, and where its configuration is."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

_STACK_FILE = re.compile(r"Pulumi\.([a-z0-9][-a-z0-9]*)\.yaml")


def config_folder(config_dir: str | None) -> Path:
    """The folder with ``Pulumi.<env>.yaml``: the one that was named, else the current one."""
    return Path(config_dir) if config_dir else Path.cwd()


def known_environments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001
    """What may stand after ``--env``, for a shell's completion: found by the files' names, and by what they hold. The
    files are not parsed, for which one would have to wait.
    """
    found = []
    with suppress(OSError):
        for path in sorted(config_folder(ctx.params.get("config_dir")).glob("Pulumi.*.yaml")):
            name = _STACK_FILE.fullmatch(path.name)
            if name and name[1].startswith(incomplete) and b"postgres-dr:holds" not in path.read_bytes():
                found.append(name[1])
    return found


def environment_option(**more: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """``--env``."""
    said = "The environment: its file is Pulumi.<env>.yaml."
    return click.option("--env", "environment", shell_complete=known_environments, help=said, **more)


config_dir_option = click.option(
    "--config-dir",
    envvar="DR_CONFIG_DIR",
    type=click.Path(exists=True, file_okay=False),
    is_eager=True,  # what completes --env looks there
    help="The folder with Pulumi.<env>.yaml.  [default: the current folder; env: DR_CONFIG_DIR]",
)


def options(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a command ``name`` with the options that every command of an environment takes."""

    def decorate(function: Callable[..., None]) -> click.Command:
        # The last one that is added is the first of the help.
        for option in (
            click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of prose."),
            click.option("--context", help="Must be the environment's own kubeconfig context; any other is refused."),
            config_dir_option,
            environment_option(required=True),
        ):
            function = option(function)
        return click.command(name)(function)

    return decorate
