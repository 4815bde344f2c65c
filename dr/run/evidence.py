"""What an operation finds out on its way, for its report; also where it fails on the way."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dr.archive.catalogue import BaseBackup
from dr.cnpg.cluster import ClusterSnapshot
from dr.reports.document import DataLoss, FindingLine, Link, ReportDocument
from dr.reports.phases import Mark

_LOG_LINES = 5000


@dataclass(kw_only=True)
class Evidence:
    """Filled in while the steps run. ``until`` is the step with whose end the RTO ends, empty where there is none;
    ``by_engine`` says that Pulumi makes the Cluster that recovers; ``base`` is of the archive ``server_name``, and
    ``base_bytes`` is how much of it there was to fetch; ``since`` is the report of the recovery that a switchover moves
    the traffic to; ``kept_at`` is where the report was kept.
    """

    until: str = ""
    by_engine: bool = True
    marks: Sequence[Mark] = ()
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

    def begins_from(self, base: BaseBackup, source: ClusterSnapshot, *, until: str) -> None:
        """What a recovery goes through: from ``base`` of ``source``, to the end of the step ``until``."""
        self.base, self.server_name, self.until = base, source.server_name or source.name, until

    def found(self, name: str, value: str, passed: bool | None) -> None:
        """One more answer."""
        self.findings.append(FindingLine(name=name, value=value, passed=passed))

    def found_all(self, findings: Iterable[tuple[str, str, bool | None]]) -> None:
        """More answers, each of (name, value, passed)."""
        for finding in findings:
            self.found(*finding)
