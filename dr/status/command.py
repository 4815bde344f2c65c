"""``dr status``: where an environment stands, and what to do next."""

import json
from pathlib import Path

import click

from dr.cli.options import options


@options("status")
def command(environment: str, config_dir: str | None, context: str | None, as_json: bool) -> None:
    """Show where an environment stands, who is at work, and the next command. Changes nothing."""
    from dr.cli import console
    from dr.cli.wiring import open_session
    from dr.config.load import load_environment
    from dr.status.observe import look
    from dr.status.view import show_status

    found = load_environment(environment, Path(config_dir) if config_dir else console.PROJECT_FOLDER)
    status = look(open_session(found, context))
    if as_json:
        click.echo(json.dumps(status.as_json(), indent=2))
    else:
        show_status(status)
