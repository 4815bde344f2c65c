"""Kept reports, as a person reads them on a terminal."""

from datetime import datetime
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dr.cli.console import out
from dr.core.text import bytes_of, moment_of, seconds_of
from dr.reports.document import ReportDocument
from dr.reports.phases import SEEN, TITLES
from dr.reports.trend import Trend
from dr.run.report_keeping import StoredReports

_TONES = {"done": "green", "failed": "red", "interrupted": "yellow"}


def show_list(kept: StoredReports, trend: Trend, *, now: datetime) -> None:
    """All reports, the newest last, and what the drills say of the next disaster."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("ID (UTC)", "operation", "", "RTO", "RPO", "recovered"):
        table.add_column(name, no_wrap=name != "recovered", overflow="fold")
    for document in kept.documents:
        rto, rpo, sizes = document.rto, document.rpo, document.sizes
        amount = ""
        if sizes:
            wal = sizes.wal_segments * sizes.wal_segment_bytes
            amount = f"{bytes_of(sizes.base_backup_bytes or 0)} + {bytes_of(wal)} WAL"
        table.add_row(
            # As much of it as tells it from others, and as fits beside the rest.
            document.id.partition(".")[0],
            document.operation,
            Text(document.outcome, style=_TONES[document.outcome]),
            seconds_of(rto.seconds) if rto else "",
            seconds_of(rpo.seconds) if rpo and rpo.seconds is not None and not rpo.wanted else "",
            amount,
        )
    out.print(table)
    for remark in kept.remarks:
        out.print(Text(f"! {remark}", style="yellow"), soft_wrap=True)
    out.print(Text(f"\nTrend: {trend.sentence}"), soft_wrap=True)
    for warning in trend.warnings(now):
        out.print(Text(f"! {warning}", style="yellow"), soft_wrap=True)


def show_report_document(document: ReportDocument, page: Path) -> None:
    """One report in short, and where its page is."""
    out.print(
        Text.assemble(
            (f"{document.operation} on {document.environment} ", "bold"),
            (document.outcome, f"bold {_TONES[document.outcome]}"),
            f"  {moment_of(document.started)}, {seconds_of(document.seconds)}, by {document.user}",
        ),
        soft_wrap=True,
    )
    if document.failed:
        out.print(Text(f"  {document.failed.cause}", style="red"), soft_wrap=True)
    if rto := document.rto:
        parts = ", ".join(
            f"{TITLES[phase]} {seconds_of(spent)}" for phase, spent in rto.phases.items() if spent >= SEEN
        )
        out.print(Text(f"RTO {seconds_of(rto.seconds)} of {seconds_of(rto.goal_seconds)}: {parts}"), soft_wrap=True)
    if rpo := document.rpo:
        lost = "not known" if rpo.seconds is None else seconds_of(rpo.seconds)
        out.print(Text(f"RPO {lost}{', on purpose' if rpo.wanted else ''}: {rpo.how}"), soft_wrap=True)
    checks = Table.grid(padding=(0, 2))
    for finding in document.findings:
        mark = {True: Text("✔", style="green"), False: Text("✘", style="red"), None: Text("·", style="dim")}
        checks.add_row(mark[finding.passed], Text(finding.name), Text(finding.value))
    out.print(Padding(checks, (0, 0, 0, 2)))
    for name, lines in (("Lost", document.lost), ("Kept", document.kept)):
        for line in lines:
            out.print(Text.assemble((f"{name}: ", "bold"), line), soft_wrap=True)
    out.print(Text(f"Report: {page}", style="dim"), soft_wrap=True)
