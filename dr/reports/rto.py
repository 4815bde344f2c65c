"""How long a recovery would take, out of what the reports of the last drills say. Pure.

A recovery is a fixed time (the engine, Kubernetes, the start, the verification), the download of the base backup, and
the replay of every WAL segment since. Only the last grows, with the time since the last base backup, so a
goal is kept by how often one is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from dr.core.plan import Phase
from dr.reports.document import ReportDocument

GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one drill took, in seconds by its phases, and of what: ``base_bytes`` and ``segments``."""

    base_bytes: int
    segments: int
    engine: float
    kubernetes: float
    base: float
    replay: float
    verification: float


@dataclass(frozen=True, kw_only=True)
class Coefficients:
    """What a recovery is made of, in seconds. ``drills`` is how many it was learned from.

    The defaults were measured by hand on a machine of two cores, by CloudNativePG's own defaults: 1.5 GB of base backup
    in 10 s, and 0.50 s a segment, each of which starts a Python process.
    """

    engine: float = 5
    kubernetes: float = 40
    base_per_gib: float = 7.2
    per_segment: float = 0.5
    verification: float = 5
    traffic: float = 15
    drills: int = 0

    @property
    def origin(self) -> str:
        """Where they are from."""
        if self.drills == 0:
            return "by default figures: no drill was kept yet"
        return f"learned from {self.drills} drill{'s' if self.drills > 1 else ''}"


def learn(drills: Sequence[Measured]) -> Coefficients:
    """The coefficients of ``drills``: the median of each, so that one slow day does not count for much.

    A drill without WAL or without a base backup of some size tells nothing of what those cost.
    """
    defaults = Coefficients()
    if not drills:
        return defaults
    bases = [drill.base / drill.base_bytes * GIB for drill in drills if drill.base_bytes > 0]
    replays = [drill.replay / drill.segments for drill in drills if drill.segments > 0]
    return Coefficients(
        engine=median(drill.engine for drill in drills),
        kubernetes=median(drill.kubernetes for drill in drills),
        base_per_gib=median(bases) if bases else defaults.base_per_gib,
        per_segment=median(replays) if replays else defaults.per_segment,
        verification=median(drill.verification for drill in drills),
        drills=len(drills),
    )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A recovery's parts in seconds, by name."""

    parts: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(self.parts.values())

    @property
    def dominant(self) -> str:
        """The largest part."""
        return max(self.parts, key=self.parts.__getitem__)


def predict(coefficients: Coefficients, *, base_bytes: int, segments: int) -> Prediction:
    """The recovery of a base backup of ``base_bytes`` and of ``segments`` after it."""
    return Prediction(
        parts={
            "engine": coefficients.engine,
            "kubernetes": coefficients.kubernetes,
            "base backup": coefficients.base_per_gib * base_bytes / GIB,
            "WAL replay": coefficients.per_segment * segments,
            "verification": coefficients.verification,
            "traffic": coefficients.traffic,
        }
    )


def interval_within(
    goal: timedelta, coefficients: Coefficients, *, base_bytes: int, segments_per_day: float
) -> timedelta | None:
    """The longest time between base backups that keeps ``goal``. None when no WAL is written, so any does; zero when
    not even a base backup alone can be recovered in time.
    """
    cost = coefficients.per_segment * segments_per_day / timedelta(days=1).total_seconds()
    if cost <= 0:
        return None
    fixed = predict(coefficients, base_bytes=base_bytes, segments=0).seconds
    return timedelta(seconds=max(0.0, goal.total_seconds() - fixed) / cost)


_OPERATIONS = {"drill", "pitr", "latest"}
_NEWEST = 20
"""What an old drill took says little: data, versions and machines have changed."""


def coefficients_of(documents: Sequence[ReportDocument]) -> Coefficients:
    """Learned from reports, oldest first; the default ones when none of them tells of a whole recovery."""
    measured = [found for document in documents if (found := measured_of(document))]
    return learn(measured[-_NEWEST:])


def measured_of(document: ReportDocument) -> Measured | None:
    """What a whole recovery took by its phases; None for a report of something else, or of one that failed."""
    if document.operation not in _OPERATIONS or document.outcome != "done":
        return None
    if document.rto is None or document.sizes is None:
        return None
    phases, sizes = document.rto.phases, document.sizes
    return Measured(
        # barman writes no size down for an object store: what came of it is as good.
        base_bytes=sizes.base_backup_bytes or sizes.database_bytes or 0,
        segments=sizes.wal_segments,
        engine=phases.get(Phase.ENGINE, 0.0) + phases.get(Phase.PREPARATION, 0.0),
        kubernetes=phases.get(Phase.KUBERNETES, 0.0) + phases.get(Phase.OTHER, 0.0),
        base=phases.get(Phase.BASE_BACKUP, 0.0),
        replay=phases.get(Phase.WAL_REPLAY, 0.0),
        verification=phases.get(Phase.VERIFICATION, 0.0),
    )
