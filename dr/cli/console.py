"""Plans, reports and failures, as a person reads them under stress: the fact first, then what to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.panel import Panel
from rich.segment import Segments
from rich.table import Table
from rich.text import Text

from dr.core.commands import ANY_RUN, CommandLines, has_command
from dr.core.errors import DrError, problems_of
from dr.core.plan import Plan

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
_WIDEST, _FRAME = 10_000, 4


@contextmanager
def waiting(what: str, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Show that something is going on, on a terminal. Gives a way to say more: in its place, or elsewhere in lines."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with err.status(what) as status:
            yield status.update
    else:
        yield lambda said: err.print(Text(said), soft_wrap=True)


def say(console: Console, text: Text) -> None:
    """Prose: a terminal's lines end between words. Where a command stands in it, it is one line, to be pasted."""
    console.print(text, soft_wrap=not console.is_terminal or has_command(text.plain))


def print_whole(table: RenderableType, *, title: str = "") -> None:
    """A table on stdout, in a frame if it has a ``title``, of which nothing is cut off: where the terminal is narrower
    than its longest words, the terminal breaks the lines.
    """
    least = Measurement.get(out, out.options.update(max_width=_WIDEST), table).minimum + (_FRAME if title else 0)
    shown = Panel(table, title=title, title_align="left") if title else table
    lines = out.render_lines(shown, out.options.update(width=max(out.width, least)), pad=False, new_lines=True)
    out.print(Segments([segment for line in lines for segment in line]), soft_wrap=True, end="")


def note(text: str) -> None:
    """One line on stdout."""
    out.print(Text(text), soft_wrap=True)


def show_plan(plan: Plan) -> None:
    """The plan: what will be touched, what to know, and the steps with their way back."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in plan.facts.items():
        facts.add_row(Text(name, style="bold"), Text(value))
    steps = Table.grid(padding=(0, 2))
    for _ in range(3):
        steps.add_column(overflow="fold")
    for number, step in enumerate(plan.steps, start=1):
        done = (f"; done when {step.done_when}", "dim") if step.done_when else ""
        steps.add_row(str(number), Text(step.title, style="bold"), Text.assemble(step.detail(), done))
    parts: list[Any] = [facts, "", steps]
    print_whole(Group(*parts), title=f"Plan: {plan.operation} on {plan.environment}")
    for warning in plan.warnings:
        say(out, Text(f"! {warning}", style="yellow"))
    if undo := list(dict.fromkeys(command for step in plan.steps for command in step.undo())):
        out.print(Text("To take it back:", style="bold"))
        for command in undo:
            out.print(Text(f"  {command}"), soft_wrap=True)


def planned_only(plan: Plan, *, dry_run: bool, as_json: bool) -> bool:
    """Show a plan before anybody is asked, and say whether that was all that was wanted."""
    if as_json and dry_run:
        click.echo(json.dumps({"plan": plan.as_json(), "dryRun": True}, indent=2))
    elif not as_json:
        show_plan(plan)
        if dry_run:
            note("Dry run: nothing was changed.")
    return dry_run


def show_kept(path: str, *, not_kept: str = "", unwritten: str = "") -> None:
    """Where the report was kept, or why it was not, and what the journal lacks."""
    if path:
        out.print(Text(f"Report: {path}", style="dim"), soft_wrap=True)
    for what, why in (("report was not kept", not_kept), ("journal is not complete", unwritten)):
        if why:
            err.print(Text(f"! the {what}: {why}", style="yellow"), soft_wrap=True)


def show_error(error: DrError, commands: CommandLines = ANY_RUN) -> None:
    """What happened, what to do about it, and how things stand. ``commands`` are the environment's."""
    for problem in problems_of(error):
        say(err, Text.assemble((f"{error.family}: ", "bold red"), problem.cause))
        say(err, Text.assemble(("  do: ", "bold"), problem.remedy))
    stopped = error.stopped
    if stopped is None:
        unsure = f"Whether anything was changed is not known: {commands.dr('status')} shows where things stand."
        told = Text(unsure, style="bold") if error.unsure else Text("Nothing was changed.", style="dim")
        err.print(told, soft_wrap=True)
        return
    err.print(f"\nStopped in [bold]{stopped.at.title}[/].")
    marks = [(("  done     ", "green"), step) for step in stopped.done] + [(("  started  ", "yellow"), stopped.at)]
    for mark, step in marks:
        err.print(Text.assemble(mark, step.title))
    if stopped.undo:
        err.print(Text("To take it back:", style="bold"))
        for command in stopped.undo:
            err.print(Text(f"  {command}"), soft_wrap=True)
    err.print(Text.assemble(("To continue: ", "bold"), stopped.go_on), soft_wrap=True)
    err.print(Text(f"Journal: {stopped.journal}", style="dim"), soft_wrap=True)
    if stopped.unwritten:
        err.print(Text(f"! the journal is not complete: {stopped.unwritten}", style="yellow"), soft_wrap=True)
    if stopped.report:
        err.print(Text(f"Report: {stopped.report}", style="dim"), soft_wrap=True)


def error_as_json(error: DrError) -> dict[str, Any]:
    """The same as values."""
    stopped = error.stopped
    return {
        "error": error.family,
        "exitCode": error.exit_code,
        "problems": [{"code": item.code, "cause": item.cause, "remedy": item.remedy} for item in problems_of(error)],
        "changed": None if error.unsure else stopped is not None,
        "stopped": stopped
        and {
            "at": stopped.at.key,
            "done": [step.key for step in stopped.done],
            "undo": list(stopped.undo),
            "goOn": stopped.go_on,
            "journal": stopped.journal,
            "report": stopped.report,
            "unwritten": stopped.unwritten,
        },
    }
