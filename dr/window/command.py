"""``dr window``: from when until when the database can be recovered."""

import json

import click

from dr.cli.options import config_folder, options


@options("window")
@click.option("--server-name", help="Look at this archive only.  [default: every one below the backup path]")
def command(
    environment: str, config_dir: str | None, context: str | None, as_json: bool, server_name: str | None
) -> None:
    """Show from when until when the database can be recovered, and where it cannot in between. Changes nothing.

    The bucket itself is read, so this works when the Kubernetes cluster is gone.
    """
    from dr.cli import console
    from dr.cli.wiring import check_context
    from dr.config.load import load_environment
    from dr.run.session import utc_now
    from dr.window.observe import look
    from dr.window.view import show_window

    found = load_environment(environment, config_folder(config_dir))
    check_context(found, context)
    with console.waiting("reading the bucket", quiet=as_json):
        report = look(found, server_name, clock=utc_now)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        show_window(report)
