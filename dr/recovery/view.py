"""A finished recovery on a terminal, and what to do next."""

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dr.cli.console import out
from dr.recovery.report import RecoveryReport


def show_report(report: RecoveryReport) -> None:
    """What came of it, how long it took, and what to do next."""
    cluster = report.decision.cluster
    checks = Table.grid(padding=(0, 2))
    for name, value, passed in report.findings:
        mark = Text("✔", style="green") if passed else Text("·", style="dim")
        checks.add_row(mark, Text(name), Text(value, style="bold"))
    out.print()
    said = "[bold green]Recovered[/]" if report.compared else "[bold yellow]Recovered, not compared:[/]"
    out.print(f"{said} {cluster.name} to {report.decision.request.target or 'the end of the WAL'}")
    out.print(Padding(checks, (0, 0, 0, 2)))
    out.print(
        f"RTO so far [bold]{report.seconds:.1f} s[/] from your yes to verified, of which CloudNativePG took "
        f"{report.cluster_seconds:.1f} s from creation to healthy.",
        soft_wrap=True,
    )
    out.print("\n[bold]Next: move the traffic[/] (nothing below has been done yet)")
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print("or by hand:")
    for line in report.by_hand:
        out.print(Text(f"  {line}", style="dim"), soft_wrap=True)
    out.print("\n[bold]When it has proved itself[/]: make it the canonical one, in Git too, and delete the old one")
    for line in report.later:
        out.print(Text(f"  {line}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)
