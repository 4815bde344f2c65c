"""The report of an extraction, as a person reads it."""

from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text

from dr.cli.console import out
from dr.core.text import bytes_of
from dr.extract.report import ExtractReport


def show_extraction(report: ExtractReport) -> None:
    """What is there now, what was compared, what is missing, and how to continue."""
    request, done = report.decision.request, report.extracted
    out.print(
        Text.assemble(
            ("\nExtracted ", "bold green"),
            f"{request.table} as it was at {request.target} into {report.decision.live.name}, "
            f"as {request.final}, in {report.seconds:.1f} s",
        ),
        soft_wrap=True,
    )
    if done.rows is not None:
        size = f", {bytes_of(done.size)}" if done.size is not None else ""
        out.print(Text(f"  {done.rows:,} rows{size}, the same as in the scratch Cluster by {done.compared}"))
    if done.kept:
        out.print(Text(f"  the former one is {done.kept}: drop it when it is no longer needed"), soft_wrap=True)
    _list("Brought back with it", done.brought_back, "green")
    _list("Not brought back", done.left_out, "yellow")
    _list("Not in order", done.faults, "red")
    if report.scratch_commands:
        look, delete = report.scratch_commands
        out.print(Text.assemble(("The scratch Cluster is kept. To look around: ", "bold"), look), soft_wrap=True)
        out.print(Text.assemble(("To delete it: ", "bold"), delete), soft_wrap=True)
    if not request.swap:
        swap = replace(request, swap=True).command(report.environment)
        out.print("\n[bold]Next[/]: look at it, and copy what is missing; or let it take its place:")
        out.print(Text(f"  {swap}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)


def _list(title: str, lines: Sequence[str], style: str) -> None:
    if lines:
        out.print(Text(f"  {title}:", style=style))
    for line in lines:
        out.print(Text(f"    {line}"), soft_wrap=True)
