"""Keeping the report of an operation: made of its journal's entry and of what it found out, done or failed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

from dr import __version__
from dr.archive.object_store import stored_bytes
from dr.config.environment import Environment
from dr.core.errors import AccessError, DrError
from dr.core.history import OperationEntry, Outcome
from dr.core.plan import Plan
from dr.reports.document import Failed, Link, RecoveryTime, ReportDocument, Sizes, SpanLine, StepLine
from dr.reports.files import ReportFiles
from dr.reports.markdown import markdown
from dr.reports.page import page
from dr.reports.phases import Span, spans, split, whole_incident
from dr.reports.trend import Trend
from dr.run.evidence import Evidence
from dr.run.journal import Journal

PAGE, MARKDOWN, LOG = ".html", ".md", ".log"
"""The other forms of a report, by what their names end with."""

_OUTCOMES: Mapping[Outcome, Literal["done", "failed", "interrupted"]] = {
    Outcome.DONE: "done",
    Outcome.INTERRUPTED: "interrupted",
}


def keep_report(
    environment: Environment,
    plan: Plan,
    journal: Journal,
    evidence: Evidence,
    *,
    result: Mapping[str, Any] | None = None,
    error: DrError | None = None,
    trend: Callable[[ReportDocument], Trend] | None = None,
) -> ReportDocument | None:
    """Keep the report of the operation that ``journal`` has just ended; None where none has. A disk that is full fails
    no recovery: it is noted in the journal. ``trend`` has what the page is to show of drills, with this one.
    """
    entry = journal.entry
    if entry is None or entry.ended is None:
        return None
    _measure_base(environment, evidence)
    document = document_of(environment, plan, entry, evidence, journal, result=result or {}, error=error)
    others = {PAGE: page(document, trend(document) if trend else None), MARKDOWN: markdown(document)}
    if evidence.log:
        others[LOG] = "\n".join(evidence.log) + "\n"
    try:
        files = ReportFiles.beside(journal.path)
        files.keep(document, others)
        evidence.kept_at = files.path(document.id, PAGE)
    except OSError as failure:
        journal.note("report-not-kept", entry.ended, cause=str(failure))
    return document


def document_of(
    environment: Environment,
    plan: Plan,
    entry: OperationEntry,
    evidence: Evidence,
    journal: Journal,
    *,
    result: Mapping[str, Any],
    error: DrError | None,
) -> ReportDocument:
    """The document of an operation that has ended."""
    ended = entry.ended or entry.started
    titles = {step.key: step.title for step in plan.steps}
    told = [(step, titles.get(step.key, step.key)) for step in entry.steps]
    found = spans(entry.started, told, evidence.marks, until=ended, by_engine=evidence.by_engine)
    files = ReportFiles.beside(journal.path)
    log = [Link(what="Recovery log", where=files.path(entry.id, LOG).name)] if evidence.log else []
    return ReportDocument(
        id=entry.id,
        operation=entry.operation,
        environment=environment.name,
        outcome=_OUTCOMES.get(entry.outcome, "failed"),
        failed=_failed(entry, error),
        user=entry.user,
        command=entry.go_on,
        started=entry.started,
        ended=ended,
        seconds=round((ended - entry.started).total_seconds(), 3),
        facts=entry.facts,
        warnings=plan.warnings,
        steps=tuple(
            StepLine(
                key=step.key,
                title=title,
                started=step.started,
                seconds=round((step.ended - step.started).total_seconds(), 3) if step.ended else None,
                fact=step.fact,
            )
            for step, title in told
        ),
        spans=tuple(
            SpanLine(phase=one.phase, what=one.what, step=one.step, started=one.started, seconds=round(one.seconds, 3))
            for one in found
        ),
        rto=_recovery_time(environment, entry, evidence, found),
        rpo=evidence.loss,
        sizes=_sizes(evidence),
        findings=tuple(evidence.findings),
        lost=tuple(evidence.lost),
        kept=tuple(evidence.kept),
        versions={"postgres-dr": __version__, **evidence.versions},
        links=(*log, *evidence.links, Link(what="Journal", where=str(journal.path))),
        result=result,
    )


def _failed(entry: OperationEntry, error: DrError | None) -> Failed | None:
    if entry.outcome is Outcome.DONE:
        return None
    at = entry.steps[-1].key if entry.steps else ""
    return Failed(code=error.code if error else "fault", cause=error.cause if error else entry.cause, step=at)


def _recovery_time(
    environment: Environment, entry: OperationEntry, evidence: Evidence, found: tuple[Span, ...]
) -> RecoveryTime | None:
    """None unless the step that ends it was done."""
    if evidence.until not in entry.done:
        return None
    phases = split(found, last=evidence.until)
    recovery = evidence.since
    if recovery is not None and recovery.rto is not None:
        before = (entry.started - recovery.started).total_seconds()
        phases = whole_incident(recovery.rto.phases, phases, before=before)
    return RecoveryTime(
        seconds=round(sum(phases.values()), 3),
        until=evidence.until,
        goal_seconds=environment.goals.rto_minutes * 60,
        phases=phases,
        since=recovery.id if recovery else None,
    )


def _measure_base(environment: Environment, evidence: Evidence) -> None:
    """Barman does not always record the size of a base backup, and the bucket knows it. Only now: nobody waits."""
    base = evidence.base
    if base is None or evidence.base_bytes is not None:
        return
    evidence.base_bytes = base.size
    if not base.size and evidence.server_name:
        with suppress(AccessError):
            evidence.base_bytes = stored_bytes(environment.backup, evidence.server_name, base.backup_id) or None


def _sizes(evidence: Evidence) -> Sizes | None:
    base = evidence.base
    if base is None:
        return None
    return Sizes(
        base_backup=base.backup_id,
        base_backup_bytes=evidence.base_bytes,
        wal_segments=evidence.segments,
        wal_segment_bytes=base.segment_size,
        database_bytes=evidence.database_bytes,
    )
