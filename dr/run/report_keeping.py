"""The report of an operation, done or failed: what it found out on its way, how it is kept, and where the kept ones
are.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dr import __version__
from dr.archive.contents import BaseBackup
from dr.archive.reader import stored_bytes
from dr.cnpg.cluster import ClusterSnapshot
from dr.config.environment import Environment
from dr.core.commands import CommandLines
from dr.core.errors import AccessError, DrError, RequestError, problems_of
from dr.core.history import OperationEntry, Outcome
from dr.core.plan import Plan
from dr.reports.document import (
    DataLoss,
    Failed,
    FindingLine,
    Link,
    RecoveryTime,
    ReportDocument,
    ReportFiles,
    Sizes,
    SpanLine,
    StepLine,
)
from dr.reports.page import markdown, page
from dr.reports.phases import Span, StageReached, spans, split, whole_incident
from dr.reports.trend import Trend, trend_of
from dr.run.journal import Journal
from dr.run.stores import ReportStore

_LOG_LINES = 5000


@dataclass(kw_only=True)
class ReportData:
    """Filled in while the steps run. ``until`` is the step with whose end the RTO ends, empty where there is none;
    ``by_engine`` says that Pulumi makes the Cluster that recovers; ``base`` is of the archive ``server_name``, and
    ``base_bytes`` is how much of it there was to fetch; ``since`` is the report of the recovery that a switchover moves
    the traffic to; ``kept_at`` is where the report was kept, ``not_kept`` why it was not.
    """

    until: str = ""
    by_engine: bool = True
    marks: Sequence[StageReached] = ()
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))
    base: BaseBackup | None = None
    server_name: str = ""
    base_bytes: int | None = None
    segments: int = 0
    database_bytes: int | None = None
    findings: list[FindingLine] = field(default_factory=list)
    loss: DataLoss | None = None
    lost: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    since: ReportDocument | None = None
    kept_at: Path | None = None
    not_kept: str = ""

    def start(self, base: BaseBackup, source: ClusterSnapshot, *, until: str) -> None:
        """What a recovery goes through: from ``base`` of ``source``, to the end of the step ``until``."""
        self.base, self.server_name, self.until = base, source.server_name or source.name, until

    def found(self, name: str, value: str, passed: bool | None) -> None:
        """One more answer."""
        self.findings.append(FindingLine(name=name, value=value, passed=passed))

    def found_all(self, findings: Iterable[tuple[str, str, bool | None]]) -> None:
        """More answers, each of (name, value, passed)."""
        for finding in findings:
            self.found(*finding)


PAGE, MARKDOWN, LOG = ".html", ".md", ".log"
"""The other forms of a report, by what their names end with."""

_OUTCOMES: Mapping[Outcome, Literal["done", "failed", "interrupted"]] = {
    Outcome.DONE: "done",
    Outcome.INTERRUPTED: "interrupted",
}


def save_report(
    environment: Environment,
    plan: Plan,
    journal: Journal,
    report_data: ReportData,
    *,
    result: Mapping[str, Any] | None = None,
    error: DrError | None = None,
    trend: Callable[[ReportDocument], Trend] | None = None,
) -> ReportDocument | None:
    """Keep the report of the operation that ``journal`` has just ended; None where none has, or where it failed.

    A report that fails ends no operation, and hides no other failure: ``report_data.not_kept`` says why there is none.
    ``trend`` has what the page is to show of drills, with this one.
    """
    entry = journal.entry
    if entry is None or entry.ended is None:
        return None
    document = None
    try:
        _measure_base(environment, report_data)
        document = document_of(environment, plan, entry, report_data, journal, result=result or {}, error=error)
        others = {PAGE: page(document, trend(document) if trend else None), MARKDOWN: markdown(document)}
        if report_data.log:
            others[LOG] = "\n".join(report_data.log) + "\n"
        files = ReportFiles.beside(journal.path)
        files.keep(document, others)
        report_data.kept_at = files.path(document.id, PAGE)
    except Exception as failure:  # noqa: BLE001 - the operation and its own failure are what matters
        report_data.not_kept = f"{type(failure).__name__}: {failure}"
        journal.note("report-not-kept", entry.ended, cause=report_data.not_kept)
    return document


def document_of(
    environment: Environment,
    plan: Plan,
    entry: OperationEntry,
    report_data: ReportData,
    journal: Journal,
    *,
    result: Mapping[str, Any],
    error: DrError | None,
) -> ReportDocument:
    """The document of an operation that has ended."""
    ended = entry.ended or entry.started
    planned = {step.key: step for step in plan.steps}
    done = [(step, planned[step.key]) for step in entry.steps]
    found = spans(entry.started, done, report_data.marks, until=ended, by_engine=report_data.by_engine)
    files = ReportFiles.beside(journal.path)
    log = [Link(what="Recovery log", where=files.path(entry.id, LOG).name)] if report_data.log else []
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
                title=planned.title,
                started=step.started,
                seconds=round((step.ended - step.started).total_seconds(), 3) if step.ended else None,
                fact=step.fact,
            )
            for step, planned in done
        ),
        spans=tuple(
            SpanLine(phase=one.phase, what=one.what, step=one.step, started=one.started, seconds=round(one.seconds, 3))
            for one in found
        ),
        rto=_recovery_time(environment, entry, report_data, found),
        rpo=report_data.loss,
        sizes=_sizes(report_data),
        findings=tuple(report_data.findings),
        lost=tuple(report_data.lost),
        kept=tuple(report_data.kept),
        versions={"postgres-dr": __version__, **report_data.versions},
        links=(*log, *report_data.links, Link(what="Journal", where=str(journal.path))),
        result=result,
    )


def _failed(entry: OperationEntry, error: DrError | None) -> Failed | None:
    if entry.outcome is Outcome.DONE:
        return None
    at = entry.steps[-1].key if entry.steps else ""
    if error is None:
        return Failed(code="fault", cause=entry.cause, step=at)
    remedy = "; ".join(dict.fromkeys(problem.remedy for problem in problems_of(error)))
    undo = error.stopped.undo if error.stopped else ()
    return Failed(code=error.code, cause=error.cause, step=at, remedy=remedy, undo=undo)


def _recovery_time(
    environment: Environment, entry: OperationEntry, report_data: ReportData, found: tuple[Span, ...]
) -> RecoveryTime | None:
    """None unless the step that ends it was done."""
    if report_data.until not in entry.done:
        return None
    phases = split(found, last=report_data.until)
    recovery = report_data.since
    if recovery is not None and recovery.rto is not None:
        before = (entry.started - recovery.started).total_seconds()
        phases = whole_incident(recovery.rto.phases, phases, before=before)
    return RecoveryTime(
        seconds=round(sum(phases.values()), 3),
        until=report_data.until,
        goal_seconds=environment.goals.rto_minutes * 60,
        phases=phases,
        since=recovery.id if recovery else None,
    )


def _measure_base(environment: Environment, report_data: ReportData) -> None:
    """Barman does not always record the size of a base backup, and the bucket knows it. Only now: nobody waits."""
    base = report_data.base
    if base is None or report_data.base_bytes is not None:
        return
    report_data.base_bytes = base.size
    if not base.size and report_data.server_name:
        with suppress(AccessError):
            report_data.base_bytes = stored_bytes(environment.backup, report_data.server_name, base.backup_id) or None


def _sizes(report_data: ReportData) -> Sizes | None:
    base = report_data.base
    if base is None:
        return None
    return Sizes(
        base_backup=base.backup_id,
        base_backup_bytes=report_data.base_bytes,
        wal_segments=report_data.segments,
        wal_segment_bytes=base.segment_size,
        database_bytes=report_data.database_bytes,
    )


@dataclass(frozen=True, kw_only=True)
class StoredReports:
    """All reports that were found, oldest first. ``remarks`` is what could not be read, and why."""

    documents: tuple[ReportDocument, ...]
    remarks: tuple[str, ...]

    def find(self, report_id: str | None, commands: CommandLines) -> ReportDocument:
        """The one of that ID, or the only one whose ID begins so; the newest for None. ``commands`` are the
        environment's. Raises RequestError.
        """
        if not self.documents:
            raise RequestError(
                "report-missing", "no report was kept yet", f"every operation leaves one: {commands.dr('drill')}"
            )
        if report_id is None:
            return self.documents[-1]
        found = [one for one in self.documents if one.id == report_id] or [
            one for one in self.documents if one.id.startswith(report_id)
        ]
        if len(found) != 1:
            raise RequestError(
                "report-missing",
                f"{len(found) or 'no'} reports have an ID that begins with {report_id!r}",
                f"{commands.dr('report', '--list')} shows them",
            )
        return found[0]

    def trend(self, goal: float) -> Trend:
        """Over the drills among them; ``goal`` is in seconds."""
        return trend_of(self.documents, goal=goal)


def read_reports(journal: Path, store: Callable[[], ReportStore]) -> StoredReports:
    """What is kept next to ``journal``, and in the cluster as far as that can be reached: it may be gone.

    Raises nothing for either.
    """
    local, remarks = ReportFiles.beside(journal).read_all()
    try:
        drills = store().read_all()
    except AccessError as error:
        drills, remarks = [], [*remarks, f"drills that ran elsewhere are not among them: {error.cause}"]
    known = {document.id: document for document in [*drills, *local]}
    documents = sorted(known.values(), key=lambda document: document.started)
    return StoredReports(documents=tuple(documents), remarks=tuple(remarks))


def page_of(document: ReportDocument, journal: Path, trend: Trend) -> Path:
    """The page of a report on this machine; it is made where there is none, as for a drill that ran elsewhere."""
    files = ReportFiles.beside(journal)
    path = files.path(document.id, PAGE)
    if not path.is_file():
        shown = trend if document.operation == "drill" else None
        files.keep(document, {PAGE: page(document, shown), MARKDOWN: markdown(document)})
    return path
