"""The report of one operation, as it is kept: for people, for monitoring, and for the next prediction of an RTO.

Its shape is published (``docs/report.schema.json``) and has a version, which changes when a reader of the one before
would misread it; what is only added does not change it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from dr.core.errors import AccessError
from dr.core.plan import Phase

SCHEMA_VERSION = 1
SCHEMA_ID = f"postgres-dr/report/{SCHEMA_VERSION}"


class _Part(BaseModel):
    """Keys are written in camelCase; what a later release adds is passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Failed(_Part):
    """Why the operation did not come to its end: the error's code, cause and remedy, the step it was in, and the
    commands that take back what was done.
    """

    code: str
    cause: str
    step: str
    remedy: str = ""
    undo: tuple[str, ...] = ()


class StepLine(_Part):
    """One step. ``seconds`` is None where it did not end; ``fact`` is what it found or did."""

    key: str
    title: str
    started: datetime
    seconds: float | None
    fact: str = ""


class SpanLine(_Part):
    """Some of the operation's time: what went on, in which step, in which phase. The spans have no gaps."""

    phase: Phase
    what: str
    step: str
    started: datetime
    seconds: float


class RecoveryTime(_Part):
    """The RTO. ``seconds`` run from the operator's yes to the end of the step ``until``; ``phases`` add up to it.

    Of a switchover it is the whole incident's: ``since`` is the report of the recovery that it moves the traffic to,
    from whose yes on it is counted, and ``waiting`` the phase between the two. Without that report it is its own.
    """

    seconds: float
    until: str
    goal_seconds: float
    phases: Mapping[Phase, float]
    since: str | None = None


class DataLoss(_Part):
    """The RPO: the last commit that was recovered against the last one that the source had acknowledged.

    ``seconds`` lie between the two, 0 where nothing was lost, None where either is not known; ``transactions`` is how
    many were left out, where they could be counted; ``wanted`` says that a target left them out on purpose; ``how``
    tells what was compared.
    """

    last_recovered: datetime | None
    last_acknowledged: datetime | None
    seconds: float | None
    transactions: int | None = None
    wanted: bool
    how: str


class Sizes(_Part):
    """How much there was to recover. ``base_backup_bytes`` is what there was to fetch of the base backup: what barman
    recorded, or what it takes up in the bucket; ``wal_segments`` were replayed, each of ``wal_segment_bytes``;
    ``database_bytes`` is what came of it, None where it was not asked.
    """

    base_backup: str
    base_backup_bytes: int | None
    wal_segments: int
    wal_segment_bytes: int
    database_bytes: int | None = None


class FindingLine(_Part):
    """The answer to one question of the verification. ``passed`` is None where there is nothing to judge by."""

    name: str
    value: str
    passed: bool | None


class Link(_Part):
    """Where to read on: a file, a web address, or a command. ``what`` names it for people."""

    what: str
    where: str


class ReportDocument(_Part):
    """One operation that has ended, well or not. Times are aware UTC.

    ``id`` is that of the journal and the record; ``command`` is what was asked for; ``facts`` are those of the plan as
    it was agreed to; ``rto``, ``rpo`` and ``sizes`` are None where the operation has none, or did not come so far;
    ``lost`` and ``kept`` tell of the data in sentences; ``result`` is what the command printed with ``--json``.
    """

    schema_version: Literal[1] = 1
    id: str
    operation: str
    environment: str
    outcome: Literal["done", "failed", "interrupted"]
    failed: Failed | None = None
    user: str
    command: str
    started: datetime
    ended: datetime
    seconds: float
    facts: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    steps: tuple[StepLine, ...] = ()
    spans: tuple[SpanLine, ...] = ()
    rto: RecoveryTime | None = None
    rpo: DataLoss | None = None
    sizes: Sizes | None = None
    findings: tuple[FindingLine, ...] = ()
    lost: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    versions: Mapping[str, str] = {}
    links: tuple[Link, ...] = ()
    result: Mapping[str, Any] = {}

    def as_json(self) -> dict[str, Any]:
        """The document as plain values."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def parse(cls, text: str, *, where: str) -> "ReportDocument":
        """A document that was kept. Raises AccessError ``report-unreadable``; ``where`` says what was read."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise AccessError(
                "report-unreadable",
                f"{where} is not a report of this tool: {place}: {first['msg']}",
                "it was edited or made by a newer version; use that version",
            ) from error


def schema() -> dict[str, Any]:
    """The published schema, by which anybody can check a report."""
    made = ReportDocument.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **made}


def schema_text() -> str:
    """The schema as the file has it."""
    return json.dumps(schema(), indent=2) + "\n"


DOCUMENT = ".json"


@dataclass(frozen=True)
class ReportFiles:
    """The reports of one environment, below ``folder``."""

    folder: Path

    @classmethod
    def beside(cls, journal: Path) -> "ReportFiles":
        """The folder that belongs to a journal: ``prod`` next to ``prod.jsonl``."""
        return cls(journal.with_suffix(""))

    def keep(self, document: ReportDocument, others: Mapping[str, str]) -> Path:
        """Write the document, and ``others`` by their suffixes; returns the document's path. Raises OSError.

        The document comes last: where it is, the rest is.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
