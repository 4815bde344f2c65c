"""The reports of an environment: those of this machine, and the drills that its cluster keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dr.core.errors import AccessError, RequestError
from dr.reports.document import ReportDocument
from dr.reports.files import ReportFiles
from dr.reports.markdown import markdown
from dr.reports.page import page
from dr.reports.trend import Trend, trend_of
from dr.run.report_keeping import MARKDOWN, PAGE
from dr.run.report_store import ReportStore


@dataclass(frozen=True, kw_only=True)
class Kept:
    """All reports that were found, oldest first. ``remarks`` is what could not be read, and why."""

    documents: tuple[ReportDocument, ...]
    remarks: tuple[str, ...]

    def find(self, report_id: str | None) -> ReportDocument:
        """The one of that ID, or the only one whose ID begins so; the newest for None. Raises RequestError."""
        if not self.documents:
            raise RequestError(
                "report-missing", "no report was kept yet", "every operation leaves one: python -m dr drill --env ENV"
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
                "python -m dr report --env ENV --list shows them",
            )
        return found[0]

    def trend(self, goal: float) -> Trend:
        """Over the drills among them; ``goal`` is in seconds."""
        return trend_of(self.documents, goal=goal)


def read_reports(journal: Path, store: Callable[[], ReportStore]) -> Kept:
    """What is kept beside ``journal``, and in the cluster as far as that can be reached: it may be gone.

    Raises nothing for either.
    """
    local, remarks = ReportFiles.beside(journal).read_all()
    try:
        drills = store().read_all()
    except AccessError as error:
        drills, remarks = [], [*remarks, f"drills that ran elsewhere are not among them: {error.cause}"]
    known = {document.id: document for document in [*drills, *local]}
    documents = sorted(known.values(), key=lambda document: document.started)
    return Kept(documents=tuple(documents), remarks=tuple(remarks))


def page_of(document: ReportDocument, journal: Path, trend: Trend) -> Path:
    """The page of a report on this machine; it is made where there is none, as for a drill that ran elsewhere."""
    files = ReportFiles.beside(journal)
    path = files.path(document.id, PAGE)
    if not path.is_file():
        shown = trend if document.operation == "drill" else None
        files.keep(document, {PAGE: page(document, shown), MARKDOWN: markdown(document)})
    return path
