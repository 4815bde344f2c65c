"""``dr status`` and ``dr resume``: where an environment stands, and going on with what was stopped."""

import json
from typing import cast

import click

from dr.cli.options import config_folder, options
from dr.core.commands import option_words, program


@options("status")
def status(environment: str, config_dir: str | None, context: str | None, as_json: bool) -> None:
    """Show the state of an environment, any running operation, and the next command. Changes nothing."""
    from dr.cli.wiring import open_session
    from dr.config.load import load_environment
    from dr.status.observe import look
    from dr.status.view import show_status

    found = load_environment(environment, config_folder(config_dir))
    status = look(open_session(found, context))
    if as_json:
        click.echo(json.dumps(status.as_json(), indent=2))
    else:
        show_status(status)


@options("resume")
@click.option("--yes", is_flag=True, help="Skip the prompt. If a typed name is required, pass it with --confirm.")
@click.option(
    "--confirm", "confirmed", metavar="NAME", help="With --yes: the Cluster's name, if a typed name is required."
)
@click.option("--take-over", is_flag=True, help="Take over the lock of a dead operator or Pulumi run.")
def resume(
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    yes: bool,
    confirmed: str | None,
    take_over: bool,
) -> None:
    """Continue the operation on this environment that was stopped, or whose process died.

    It is the command that was given then, and its plan is agreed to again: what it has done already is looked at and
    not done twice.
    """
    from dr.cli import console
    from dr.cli.wiring import open_session
    from dr.config.load import load_environment
    from dr.rebuild.store import rebuild_records
    from dr.status.observe import rebuild_to_resume, to_resume
    from dr.status.resumption import words_of

    found = load_environment(environment, config_folder(config_dir))
    entry = rebuild_to_resume(rebuild_records(found)) or to_resume(open_session(found, context))
    words = words_of(entry, found.commands)
    if not as_json:
        console.note(f"Continuing: {found.commands.dr(words[0], *option_words(entry.go_on)[1:])}")
    given = {"--config-dir": config_dir, "--context": context, "--confirm": confirmed}
    words += [part for option, value in given.items() if value for part in (option, value)]
    words += [option for option, on in (("--yes", yes), ("--take-over", take_over), ("--json", as_json)) if on]
    root = cast("click.Group", click.get_current_context().find_root().command)
    root.main(args=words, prog_name=program(), standalone_mode=False)
