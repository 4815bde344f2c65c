"""What an operation finds out on its way, for its report; also where it fails on the way."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dr.model.catalogue import BaseBackup
from dr.model.phases import Mark
from dr.model.report_document import DataLoss, FindingLine, Link

_LOG_LINES = 5000


@dataclass(kw_only=True)
class Evidence:
    """Filled in while the steps run. ``until`` is the step with whose end the RTO ends, empty where there is none;
    ``by_engine`` says that Pulumi makes the Cluster that recovers; ``kept_at`` is where the report was kept.
    """

    until: str = ""
    by_engine: bool = True
    marks: Sequence[Mark] = ()
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_LOG_LINES))
    base: BaseBackup | None = None
    segments: int = 0
    database_bytes: int | None = None
    findings: list[FindingLine] = field(default_factory=list)
    loss: DataLoss | None = None
    lost: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    kept_at: Path | None = None

    def found(self, name: str, value: str, passed: bool | None) -> None:
        """One more answer."""
        self.findings.append(FindingLine(name=name, value=value, passed=passed))

    def found_all(self, findings: Iterable[tuple[str, str, bool | None]]) -> None:
        """More answers, each of (name, value, passed)."""
        for finding in findings:
            self.found(*finding)
