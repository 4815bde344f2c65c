"""A diagnosis, as a person reads it under stress: what this is, whether to wait, what to type."""

from rich.text import Text

from dr.cli.console import out
from dr.core.text import exact_moment_of
from dr.diagnose.diagnosis import Diagnosis, Finding


def show_diagnosis(diagnosis: Diagnosis) -> None:
    """Each row of the failure table that applies, the worst first."""
    out.print(Text(f"{diagnosis.environment.name}, seen at {exact_moment_of(diagnosis.seen_at)}"), soft_wrap=True)
    if diagnosis.looked:
        out.print(Text(f"looked at: {', '.join(diagnosis.looked)}"), soft_wrap=True)
    if diagnosis.unobserved:
        out.print(Text(f"NOT SEEN: {', '.join(diagnosis.unobserved)}", style="bold yellow"), soft_wrap=True)
    if not diagnosis.findings and not diagnosis.unobserved:
        out.print(Text("Nothing of the failure table is seen.", style="bold green"))
    elif not diagnosis.findings:
        words = "Nothing of the failure table is seen in what was looked at; of the rest nothing is known."
        out.print(Text(words, style="bold yellow"), soft_wrap=True)
    for finding in diagnosis.findings:
        out.print()
        sure = "" if finding.proven else ", perhaps"
        out.print(Text.assemble((finding.row.scenario, "bold red" if finding.proven else "bold yellow"), sure))
        for name, value, style in _facts(finding):
            out.print(Text.assemble((f"  {name:<11}", "dim"), (value, style)), soft_wrap=True)
    if diagnosis.notes:
        out.print()
    for note in diagnosis.notes:
        out.print(Text(f"! {note}", style="yellow"), soft_wrap=True)


def _facts(finding: Finding) -> tuple[tuple[str, str, str], ...]:
    return (
        ("seen", finding.seen, ""),
        ("recovers", f"{finding.row.recovers} ({finding.row.downtime})", ""),
        ("otherwise", finding.command, "bold"),
        ("", finding.unless, "dim"),
    )
