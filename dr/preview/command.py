"""``dr preview``: what ``pulumi up`` would do, in words before the difference."""

import json
from typing import TYPE_CHECKING

import click

from dr.cli.operate import override_option
from dr.cli.options import config_folder, options

if TYPE_CHECKING:
    from dr.core.errors import DrError
    from dr.preview.report import PreviewReport

_FORMATS = ("text", "markdown", "json")


@options("preview")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="text", show_default=True, help="Output format.")
@click.option("--limit", type=int, default=65_536, show_default=True, help="The most characters of the Markdown.")
@click.option(
    "--of",
    "part",
    type=click.Choice(("environment", "durable", "platform")),
    default="environment",
    show_default=True,
    help="The stack: the environment's own, or one of those that it lives on.",
)
@override_option
@click.pass_context
def command(
    ctx: click.Context,
    environment: str,
    config_dir: str | None,
    context: str | None,
    as_json: bool,
    form: str,
    limit: int,
    part: str,
    overrides: tuple[str, ...],
) -> None:
    """Show what `pulumi up` would do now, in words and in detail, and whether the guard lets it pass. Changes nothing.

    Its exit codes are its own: 0 nothing would change, 2 something would, 3 something that must not be done, 1 it could
    not be found out.
    """
    from dr.core.errors import DrError

    form = "json" if as_json else form
    try:
        report = _look(environment, config_dir, context, part, overrides, quiet=form != "text")
    except DrError as error:
        _tell_failure(environment, error, form, limit)
        ctx.exit(1)
    _tell(report, form, limit)
    ctx.exit(report.exit_code)


def _look(
    environment: str, config_dir: str | None, context: str | None, part: str, overrides: tuple[str, ...], *, quiet: bool
) -> "PreviewReport":
    from dr.cli import console
    from dr.cli.operate import read_overrides
    from dr.cli.wiring import open_below, open_for_preview, open_session
    from dr.config.load import infrastructure_of, load_environment
    from dr.preview.observe import look, look_below
    from dr.run.session import utc_now

    folder = config_folder(config_dir)
    found = load_environment(environment, folder)
    session = open_session(found, context, typed=read_overrides(overrides, now=utc_now()))
    with console.waiting("looking at the cluster, and previewing", quiet=quiet):
        if part == "environment":
            return look(session, open_for_preview(session))
        below = infrastructure_of(found, folder)
        return look_below(session, open_below(below.durable if part == "durable" else below.platform))


def _tell(report: "PreviewReport", form: str, limit: int) -> None:
    from dr.preview.report import as_markdown

    if form == "json":
        document = {**report.as_json(), "markdown": as_markdown(report, limit=limit)}
        click.echo(json.dumps(document, indent=2, default=str))
    elif form == "markdown":
        click.echo(as_markdown(report, limit=limit))
    else:
        from dr.preview.view import show_preview

        show_preview(report)


def _tell_failure(environment: str, error: "DrError", form: str, limit: int) -> None:
    from dr.cli.console import error_as_json, show_error
    from dr.preview.report import failure_as_markdown

    if form == "json":
        click.echo(json.dumps(error_as_json(error), indent=2))
    elif form == "markdown":
        click.echo(failure_as_markdown(environment, error, limit=limit))
    else:
        show_error(error)
