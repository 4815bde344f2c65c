"""``dr mark``: a named restore point to come back to."""

import json

import click

from dr.cli.options import config_folder, options


@options("mark")
@click.argument("name", required=False)
@click.option("--list", "list_all", is_flag=True, help="List the restore points that were made so, newest last.")
@click.option("--take-over", is_flag=True, help="Take over the lock of a dead operator.")
def command(
    name: str | None,
    list_all: bool,
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    take_over: bool,
) -> None:
    """Make a named restore point before a risky change, and check that a recovery can reach it.

    It writes one record into the WAL of the Cluster that serves, and waits until that is archived. The command that
    comes back to it is printed.
    """
    from dr.cli import console, signals
    from dr.cli.wiring import open_session
    from dr.config.load import load_environment
    from dr.mark.run import list_marks, make_mark
    from dr.mark.view import show_mark, show_marks

    if (name is None) != list_all:
        raise click.UsageError("give either a NAME or --list")
    signals.interrupt_on_sigterm()
    found = load_environment(environment, config_folder(config_dir))
    session = open_session(found, context, take_over=take_over)
    with console.waiting("looking at the cluster and the archive", quiet=as_json), signals.stopping(session.stop):
        marks = make_mark(session, name) if name is not None else list_marks(session)
    if as_json:
        click.echo(json.dumps(marks.as_json(), indent=2))
    elif name is None:
        show_marks(marks)
    else:
        show_mark(marks)
