"""Where an environment stands, on a terminal."""

from rich.table import Table
from rich.text import Text

from dr.archive.promise import NOT_COMPARED
from dr.cli.console import out, print_whole
from dr.core.text import moment_of
from dr.status.advice import Status


def show_status(status: Status) -> None:
    """Where things stand, at a glance, and the next command."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for cluster in status.as_json()["clusters"]:
        marks = [
            *(["serves the traffic"] if cluster["serves"] else []),
            *(["fenced"] if cluster["fenced"] else []),
            *([f"recovered to {cluster['recoveredTo']}"] if cluster["recoveredTo"] else []),
            *(["verified"] if cluster["verified"] and cluster["compared"] else []),
            *([NOT_COMPARED] if cluster["verified"] and not cluster["compared"] else []),
            *(["archiving fails"] if cluster["archiving"] is False else []),
        ]
        good = Text("✔", style="green") if cluster["healthy"] else Text("✘", style="red")
        state = "; ".join([cluster["phase"] or "just made", *marks])
        facts.add_row(good, Text(cluster["name"], style="bold"), Text(state))
    counts = ", ".join(
        f"{name} {workload.replicas if workload else 'missing'}" for name, workload in status.workloads.items()
    )
    facts.add_row(
        "", Text("Service", style="bold"), Text(f"{status.environment.service} -> {status.external_name or 'missing'}")
    )
    facts.add_row("", Text("Workloads", style="bold"), Text(counts))
    if status.desired.declared:
        facts.add_row("", Text("Asked for", style="bold"), Text(f"in the file: {status.desired}"))
    if status.at_work:
        facts.add_row("", Text("In progress", style="bold"), Text(status.at_work, style="yellow"))
    print_whole(facts, title=status.environment.name)
    if last := status.last:
        when = moment_of(last.started)
        out.print(f"Last: {last.operation} by {last.user}, {when}, [bold]{last.outcome}[/]")
        for step in last.steps:
            mark = ("  done     ", "green") if step.ended else ("  started  ", "yellow")
            out.print(Text.assemble(mark, step.key, "  ", (step.fact, "dim")), soft_wrap=True)
        if last.cause:
            out.print(Text(f"  {last.cause}", style="yellow"), soft_wrap=True)
    out.print(Text("Next", style="bold"))
    for advice in status.advice:
        out.print(Text(f"  {advice.command}   # {advice.why}"), soft_wrap=True)
