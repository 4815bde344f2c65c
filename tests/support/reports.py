"""Kept reports as the tests need them: a drill that went well, to be changed by a key."""

from datetime import datetime, timedelta
from typing import Any

from dr.core.plan import Phase
from dr.reports.document import DataLoss, FindingLine, Link, RecoveryTime, ReportDocument, Sizes, SpanLine, StepLine
from tests.support.builders import NOW

_SPANS = (
    (Phase.PREPARATION, "Orphans", "orphans", 1.0),
    (Phase.KUBERNETES, "creating the cluster", "recover", 6.0),
    (Phase.BASE_BACKUP, "restoring the base backup", "recover", 10.0),
    (Phase.WAL_REPLAY, "replaying WAL", "recover", 30.0),
    (Phase.KUBERNETES, "starting the instance", "recover", 5.0),
    (Phase.VERIFICATION, "Verify", "verify", 2.0),
    (Phase.VERIFICATION, "Examine", "examine", 8.0),
    (Phase.CLEAN_UP, "Tidy up", "remove-scratch", 4.0),
)


def a_report(started: datetime = NOW, **changes: Any) -> ReportDocument:
    """A drill of 66 s, of which 54 are its RTO."""
    spans, at = [], started
    for phase, what, step, seconds in _SPANS:
        spans.append(SpanLine(phase=phase, what=what, step=step, started=at, seconds=seconds))
        at += timedelta(seconds=seconds)
    phases = {
        Phase.PREPARATION: 1.0,
        Phase.KUBERNETES: 11.0,
        Phase.BASE_BACKUP: 10.0,
        Phase.WAL_REPLAY: 30.0,
        Phase.VERIFICATION: 2.0,
    }
    good = ReportDocument(
        id=f"{started:%Y%m%dT%H%M%S}.000000Z-drill",
        operation="drill",
        environment="prod",
        outcome="done",
        user="ann@ops-1",
        command="python -m dr drill --env prod --latest",
        started=started,
        ended=at,
        seconds=66.0,
        facts={"Source": "data/postgres-prod, left as it is"},
        steps=(
            StepLine(key="recover", title="Recover", started=spans[1].started, seconds=51.0, fact="healthy"),
            StepLine(key="verify", title="Verify", started=spans[5].started, seconds=2.0, fact="users 100000"),
        ),
        spans=tuple(spans),
        rto=RecoveryTime(seconds=54.0, until="verify", goal_seconds=1800.0, phases=phases),
        rpo=DataLoss(
            last_recovered=started - timedelta(seconds=42),
            last_acknowledged=started,
            seconds=42.0,
            wanted=False,
            how="the last commit in the recovered database against the last one that the source had acknowledged",
        ),
        sizes=Sizes(
            base_backup="20260427T030000",
            base_backup_bytes=1500 * 2**20,
            wal_segments=60,
            wal_segment_bytes=16 * 2**20,
            database_bytes=2**31,
        ),
        findings=(
            FindingLine(name="users", value="100000", passed=True),
            FindingLine(name="pg_verifybackup", value="not possible: no manifest", passed=None),
        ),
        kept=("postgres-prod, as it is",),
        versions={"postgres-dr": "0.1.0", "PostgreSQL": "17.6"},
        links=(Link(what="Journal", where="/state/journal/prod.jsonl"),),
        result={"operation": "drill"},
    )
    return good.model_copy(update=changes)
