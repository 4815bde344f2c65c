"""The report of a drill, as a person reads it."""

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dr.cli.console import out
from dr.drill.report import DrillReport
from dr.reports.phases import SEEN, TITLES


def show_drill(report: DrillReport) -> None:
    """Whether a disaster would have been survived, how long it would have taken, and what would have been lost."""
    checks = Table.grid(padding=(0, 2))
    checks.add_column()
    checks.add_column(no_wrap=True)
    checks.add_column(overflow="fold")
    for finding in report.findings:
        mark = Text("✔", style="green") if finding.passed else Text("·", style="dim")
        checks.add_row(mark, Text(finding.name), Text(finding.value, style="bold" if finding.passed else ""))
    target = report.decision.request.target
    out.print()
    said = "[bold green]Passed[/]" if report.compared else "[bold yellow]Not compared:[/]"
    out.print(f"{said} {report.decision.source.name} recovered to {target or 'the end of its WAL'}")
    out.print(Padding(checks, (0, 0, 0, 2)))
    if rto := report.rto:
        parts = ", ".join(f"{TITLES[phase]} {seconds:.1f}" for phase, seconds in rto.phases.items() if seconds >= SEEN)
        out.print(
            Text.assemble("RTO ", (f"{rto.seconds:.1f} s", "bold"), f" of {rto.goal_seconds:.0f} s: {parts}"),
            soft_wrap=True,
        )
    if rpo := report.rpo:
        lost = f"{rpo.seconds:.1f} s" if rpo.seconds is not None else "not known"
        purpose = ", on purpose" if rpo.wanted else ""
        out.print(Text.assemble("RPO ", (lost, "bold"), f"{purpose}: {rpo.how}"), soft_wrap=True)
    out.print(Text(f"\nJournal: {report.journal}", style="dim"), soft_wrap=True)
