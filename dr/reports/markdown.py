"""The report as Markdown, to be pasted into an issue or a chat."""

from collections.abc import Iterator

from dr.core.text import bytes_of, moment_of, seconds_of
from dr.reports.document import ReportDocument
from dr.reports.phases import TITLES

_MARKS = {True: "✔", False: "✘", None: "·"}


def markdown(document: ReportDocument) -> str:
    """The whole text."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: ReportDocument) -> Iterator[str]:
    yield f"# {_text(document.operation)} on {_text(document.environment)}: {document.outcome}"
    yield ""
    yield f"{moment_of(document.started)}, {seconds_of(document.seconds)}, by {_text(document.user)}"
    yield ""
    yield f"    {_line(document.command)}"
    if document.failed:
        yield from ("", f"**Failed** ({_text(document.failed.code)}): {_text(document.failed.cause)}")
    yield from _numbers(document)
    if document.findings:
        yield from ("", "## What was checked", "")
        for finding in document.findings:
            yield f"- {_MARKS[finding.passed]} **{_text(finding.name)}**: {_text(finding.value)}"
    for name, lines in (("Lost", document.lost), ("Kept", document.kept)):
        if lines:
            yield from ("", f"## {name}", "", *(f"- {_text(line)}" for line in lines))
    if document.steps:
        yield from ("", "## Steps", "", "| step | began | seconds | |", "|---|---|---|---|")
        for step in document.steps:
            took = "not ended" if step.seconds is None else f"{step.seconds:.1f}"
            yield f"| {_text(step.title)} | {step.started:%H:%M:%S} | {took} | {_text(step.fact)} |"
    if document.facts:
        yield from ("", "## What was agreed to", "")
        yield from (f"- **{_text(name)}**: {_text(value)}" for name, value in document.facts.items())
        yield from (f"- **!** {_text(warning)}" for warning in document.warnings)
    yield from (
        "",
        "## Versions",
        "",
        ", ".join(f"{_text(name)} {_text(of)}" for name, of in document.versions.items()),
    )
    if document.links:
        yield from ("", "## Read on", "", *(f"- {_text(link.what)}: {_text(link.where)}" for link in document.links))


def _numbers(document: ReportDocument) -> Iterator[str]:
    if rto := document.rto:
        yield from ("", f"**RTO {seconds_of(rto.seconds)}** of {seconds_of(rto.goal_seconds)}", "")
        yield from ("| phase | seconds |", "|---|---|")
        yield from (f"| {TITLES[phase]} | {seconds:.1f} |" for phase, seconds in rto.phases.items())
    if loss := document.rpo:
        lost = "not known" if loss.seconds is None else seconds_of(loss.seconds)
        purpose = ", on purpose" if loss.wanted else ""
        yield from ("", f"**RPO {lost}**{purpose}: {_text(loss.how)}")
        if loss.last_recovered:
            yield f"- last recovered commit: {moment_of(loss.last_recovered)}"
        if loss.last_acknowledged:
            yield f"- last acknowledged: {moment_of(loss.last_acknowledged)}"
    if sizes := document.sizes:
        base = bytes_of(sizes.base_backup_bytes) if sizes.base_backup_bytes else "of unknown size"
        yield from ("", f"Base backup {_text(sizes.base_backup)}, {base}; {sizes.wal_segments:,} WAL segments replayed")


def _line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """``text`` so that it reads the same and is no markup, in a table too."""
    plain = _line(text)
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
