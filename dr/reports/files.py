"""Reports on this machine: a folder for each environment, beside its journal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dr.core.errors import AccessError
from dr.reports.document import ReportDocument

DOCUMENT = ".json"


@dataclass(frozen=True)
class ReportFiles:
    """The reports of one environment, below ``folder``."""

    folder: Path

    @classmethod
    def beside(cls, journal: Path) -> "ReportFiles":
        """The folder that belongs to a journal: ``prod`` beside ``prod.jsonl``."""
        return cls(journal.with_suffix(""))

    def keep(self, document: ReportDocument, others: Mapping[str, str]) -> Path:
        """Write the document, and ``others`` by their suffixes; returns the document's path. Raises OSError.

        The document comes last: where it is, the rest is.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in others.items():
            self.path(document.id, suffix).write_text(text, encoding="utf-8")
        path = self.path(document.id, DOCUMENT)
        path.write_text(json.dumps(document.as_json(), indent=2) + "\n", encoding="utf-8")
        return path

    def path(self, report_id: str, suffix: str) -> Path:
        """Where one form of a report is kept."""
        return self.folder / f"{report_id}{suffix}"

    def read(self, report_id: str) -> ReportDocument | None:
        """A report, or None when there is none of that ID. Raises AccessError ``report-unreadable``."""
        path = self.path(report_id, DOCUMENT)
        if not path.is_file():
            return None
        return ReportDocument.parse(_text(path), where=str(path))

    def read_all(self) -> tuple[list[ReportDocument], list[str]]:
        """All reports, oldest first, and what is wrong with those that cannot be read."""
        found, faults = [], []
        for path in sorted(self._paths()):
            try:
                found.append(ReportDocument.parse(_text(path), where=str(path)))
            except AccessError as error:
                faults.append(error.cause)
        return sorted(found, key=lambda document: document.started), faults

    def _paths(self) -> Iterable[Path]:
        return self.folder.glob(f"*{DOCUMENT}") if self.folder.is_dir() else ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessError(
            "report-unreadable", f"{path} cannot be read: {error}", "see who may read it, and whether the disk is well"
        ) from error
