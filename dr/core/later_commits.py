"""The transactions that a recovery leaves out."""

from dataclasses import dataclass
from datetime import datetime

from dr.core.target import RecoveryTarget


@dataclass(frozen=True, kw_only=True)
class LaterCommits:
    """Transactions committed after a moment. ``last`` is aware UTC; ``complete`` is False when the oldest WAL that is
    still on the server begins after the moment, so that there may be more.
    """

    count: int
    last: datetime | None
    complete: bool

    def __str__(self) -> str:
        """For people."""
        if not self.count or self.last is None:
            return "no transaction" if self.complete else "no transaction in the WAL that is still on the server"
        least = "" if self.complete else "at least "
        plural = "" if self.count == 1 else "s"
        return f"{least}{self.count:,} transaction{plural}, the last at {RecoveryTarget(self.last)}"
