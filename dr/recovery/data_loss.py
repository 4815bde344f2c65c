"""What a recovery lost: the last commit that it has against the last one that the source had acknowledged."""

from datetime import datetime

from dr.core.later_commits import LaterCommits
from dr.core.target import RecoveryTarget
from dr.reports.document import DataLoss


def loss_at_the_end(recovered: datetime | None, acknowledged: datetime | None, *, base_end: datetime) -> DataLoss:
    """Of a recovery to the end of the archived WAL from a base backup that ended at ``base_end``. ``recovered`` is None
    where no commit came after that.

    All times are aware UTC, and of the source's own clock.
    """
    if recovered is None and acknowledged is not None and acknowledged <= base_end:
        return DataLoss(
            last_recovered=acknowledged,
            last_acknowledged=acknowledged,
            seconds=0.0,
            wanted=False,
            how="nothing was committed since the base backup",
        )
    if recovered is None or acknowledged is None:
        known = (
            "the last recovered commit" if recovered else "the last acknowledged commit" if acknowledged else "neither"
        )
        return DataLoss(
            last_recovered=recovered,
            last_acknowledged=acknowledged,
            seconds=None,
            wanted=False,
            how=f"{known} is known: no commit was replayed, or the source does not tell (track_commit_timestamp)",
        )
    return DataLoss(
        last_recovered=recovered,
        last_acknowledged=acknowledged,
        seconds=round(max(0.0, (acknowledged - recovered).total_seconds()), 3),
        wanted=False,
        how="the last commit in the recovered database against the last one that the source had acknowledged",
    )


def loss_by_target(recovered: datetime | None, later: LaterCommits | None) -> DataLoss:
    """Of a recovery to a target, which leaves out on purpose what was committed after it."""
    last = later.last if later else None
    acknowledged = last or (recovered if later and later.complete else None)
    seconds = (acknowledged - recovered).total_seconds() if acknowledged and recovered else None
    return DataLoss(
        last_recovered=recovered,
        last_acknowledged=acknowledged,
        seconds=None if seconds is None else round(max(0.0, seconds), 3),
        transactions=later.count if later else None,
        wanted=True,
        how="the target against the last commit in the source's WAL, when the plan was made",
    )


def lost_by_target(target: RecoveryTarget, later: LaterCommits | None) -> list[str]:
    """The same in a sentence."""
    if later is None:
        return [f"what was committed after {target}; it could not be counted"]
    return [f"{later} after {target}"] if later.count else []
