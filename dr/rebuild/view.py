"""A finished rebuild, as a person reads it: what serves, where its data come from, how long it took."""

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dr.cli.console import out
from dr.core.text import seconds_of
from dr.rebuild.report import RebuildReport


def show_rebuild(report: RebuildReport) -> None:
    """What came of it, and what is left to do."""
    said = f"{report.environment.name} in {seconds_of(report.seconds)}: {report.serving} serves"
    out.print(Text.assemble(("\nRebuilt ", "bold green"), said), soft_wrap=True)
    steps = Table.grid(padding=(0, 2))
    steps.add_column(no_wrap=True)
    steps.add_column(justify="right", no_wrap=True)
    steps.add_column(overflow="fold")
    for key, seconds, fact in report.steps:
        steps.add_row(key, f"{seconds:.1f} s", Text(fact, style="dim"))
    out.print(Padding(steps, (0, 0, 0, 2)))
    out.print(Text(f"The database that Git brought up was {report.origin.origin}:"), soft_wrap=True)
    for line in report.origin.evidence:
        out.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    out.print(Text("Next", style="bold"))
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
    if report.to_write:
        region = report.decision.request.region
        out.print(Text(f"To stay in {region} (docs/rebuild.md)", style="bold"), soft_wrap=True)
        for line in report.to_write:
            out.print(Text(f"  {line}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)
