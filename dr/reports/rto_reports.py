"""From a kept report to what it teaches about the time that a recovery takes. Pure."""

from collections.abc import Sequence

from dr.reports.document import ReportDocument
from dr.reports.phases import Phase
from dr.reports.rto import Coefficients, Measured, learn

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
