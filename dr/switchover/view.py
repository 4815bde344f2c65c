"""A finished switchover or rollback on a terminal."""

from rich.text import Text

from dr.cli.console import out
from dr.switchover.report import MoveReport


def show_move(report: MoveReport) -> None:
    """Where the traffic goes now, and the way back."""
    decision = report.decision
    moved = f"{report.environment.service} to {decision.host} in {report.seconds:.1f} s"
    out.print(Text.assemble(("\nMoved ", "bold green"), moved), soft_wrap=True)
    if report.smoke:
        out.print(Text(f"  smoke test: {report.smoke}"), soft_wrap=True)
    if decision.fence:
        out.print(Text(f"  {decision.fence.name} keeps its data and takes no more writes"), soft_wrap=True)
    for line in report.next_commands:
        out.print(Text.assemble(("The way back: ", "bold"), line), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)
