"""Restore points, as a person reads them."""

from rich.text import Text

from dr.cli.console import out
from dr.core.text import moment_of
from dr.mark.marks import Marks


def show_mark(marks: Marks) -> None:
    """The one that was made, and the way back to it."""
    (mark,) = marks.marks
    where = f"{mark.name} in {mark.cluster}: LSN {mark.lsn}, WAL segment {mark.segment}, archived"
    out.print(Text.assemble(("Marked ", "bold green"), where), soft_wrap=True)
    out.print(Text("To come back to it:", style="bold"))
    out.print(Text(f"  {marks.command(mark)}"), soft_wrap=True)


def show_marks(marks: Marks) -> None:
    """All of them, each with the way back to it."""
    if not marks.marks:
        made = f"No restore point was made in {marks.environment} yet: {marks.commands.dr('mark', 'NAME')}"
        out.print(Text(made), soft_wrap=True)
    for mark in marks.marks:
        state = "" if mark.archived else "  not archived: give the command that made it again"
        out.print(Text.assemble((mark.name, "bold"), f"  {moment_of(mark.made)} by {mark.made_by}{state}"))
        out.print(Text(f"  {marks.command(mark)}", style="dim"), soft_wrap=True)
