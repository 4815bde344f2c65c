"""An adoption, as a person reads it."""

from rich.text import Text

from dr.adopt.plan import AdoptionReport
from dr.cli.console import out


def show_adoption(report: AdoptionReport) -> None:
    """What would be imported, what else there is, and what is left alone."""
    for adoption in report.stacks:
        out.print(Text(f"\nStack {adoption.stack}", style="bold"))
        for match in adoption.matches:
            line = Text.assemble(("  import  ", "green"), (match.resource.name, "bold"), f"  is {match.held.address}")
            out.print(line, soft_wrap=True)
        for what, resources in (
            ("imported before", tuple(match.resource for match in adoption.already)),
            ("in Terraform's state and gone", adoption.vanished),
            ("declared besides; the next pulumi up makes or imports it", adoption.later),
        ):
            if resources:
                names = ", ".join(resource.name for resource in resources)
                out.print(Text.assemble((f"  {what}: ", "dim"), names), soft_wrap=True)
    if report.unknown:
        out.print(Text("\nLeft to Terraform: no stack declares it", style="bold"))
        for held in report.unknown:
            out.print(Text.assemble(f"  {held.address}  ", (held.identity, "dim")), soft_wrap=True)
    out.print(Text(f"\nThe preview imports {report.count} and changes nothing."))


def show_adopted(report: AdoptionReport) -> None:
    """What came of it, and how it leaves Terraform's state."""
    if report.dry_run:
        out.print(Text("Dry run: nothing was imported."))
        return
    if report.count:
        said = f"{report.count} resources of {report.project}, unchanged"
        out.print(Text.assemble(("\nAdopted ", "bold green"), said), soft_wrap=True)
    else:
        out.print(Text("There was nothing left to import."))
    if not report.next_commands:
        return
    out.print(Text("Next: remove them from Terraform's state, so that only one tool declares them", style="bold"))
    for line in report.next_commands:
        out.print(Text(f"  {line}"), soft_wrap=True)
