"""A finished finalize on a terminal, or what has to be merged first."""

from rich.text import Text

from dr.cli.console import out
from dr.finalize.report import FinalizeReport


def show_finalize(report: FinalizeReport) -> None:
    """What is canonical now, or what has to be merged first."""
    decision, git = report.decision, report.decision.git
    if decision.proposal and git:
        out.print(Text.assemble(("\nWritten ", "bold green"), f"branch {git.branch} in {git.root}"), soft_wrap=True)
        out.print("[bold]Next: have it merged, then give the same command again[/] (nothing was deleted)")
    else:
        said = f"{decision.canonical.name} is the Cluster of {report.environment.name}, in {report.seconds:.1f} s"
        out.print(Text.assemble(("\nFinalized ", "bold green"), said), soft_wrap=True)
        for key, _, fact in report.steps:
            out.print(Text(f"  {key}: {fact}", style="dim"), soft_wrap=True)
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)
