"""A preview on a terminal: the words before the difference."""

import json

from rich.panel import Panel
from rich.text import Text

from dr.cli.console import out
from dr.engine.changes import Change, Op
from dr.preview.report import PreviewReport

_STYLES = {Op.CREATE: "green", Op.IMPORT: "green", Op.UPDATE: "yellow", Op.REPLACE: "red", Op.DELETE: "red"}


def show_preview(report: PreviewReport) -> None:
    """What would change, what would be lost, how long it takes, what must not be; then the details."""
    style = {0: "green", 2: "yellow", 3: "bold red"}[report.exit_code]
    out.print(Text.assemble((f"{report.environment}: ", "bold"), (report.headline, style)), soft_wrap=True)
    if report.asked:
        out.print(Text(f"Pulumi.{report.environment}.yaml asks for a {report.asked}"), soft_wrap=True)
    for sentence in report.words:
        out.print(Text(f"  {sentence}"), soft_wrap=True)
    out.print(Text.assemble(("Lost: ", "bold"), "; ".join(report.lost) or "nothing"), soft_wrap=True)
    if report.takes:
        out.print(Text.assemble(("Takes: ", "bold"), report.takes), soft_wrap=True)
    for violation in report.violations:
        text = Text.assemble(f"{violation.cause}.\n", (violation.remedy, "bold"))
        out.print(Panel(text, title=f"dangerous: {violation.rule}", title_align="left", border_style="red"))
    for fault in report.changes.faults:
        out.print(Panel(Text(fault), title="Pulumi refuses", title_align="left", border_style="red"))
    for line in (*report.overridden, *report.changes.remarks):
        out.print(Text(f"! {line}", style="yellow"), soft_wrap=True)
    for change in report.changes.items:
        if change.changes and not change.is_provider:
            _show_change(change)


def _show_change(change: Change) -> None:
    style = _STYLES.get(change.op, "")
    out.print(Text(f"\n{change.op} {change.type} {change.name}", style=style), soft_wrap=True)
    for path in change.paths:
        before, after = (json.dumps(value, default=str, ensure_ascii=False) for value in (path.before, path.after))
        why = "  (replaces it)" if path.replaces else ""
        out.print(Text(f"  {path.path}: {before} -> {after}{why}"), soft_wrap=True)
