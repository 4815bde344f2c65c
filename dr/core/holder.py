"""Who runs an operation, and whether it may be taken from them.

The same question is asked of two locks: the lease that keeps operators apart, and the one that Pulumi's engine keeps on
its state. Neither ends with its process.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One process of one person on one machine."""

    user: str
    host: str
    pid: int

    def __str__(self) -> str:
        """The form that is written into a lease."""
        return f"{self.user}@{self.host}:{self.pid}"

    @property
    def operator(self) -> str:
        """The person and the machine."""
        return f"{self.user}@{self.host}"

    @classmethod
    def parse(cls, text: str) -> "Holder | None":
        """The holder that ``text`` names, or None when it is of another form."""
        found = re.fullmatch(r"(.+)@([^@:]+):(\d+)", text)
        return cls(user=found[1], host=found[2], pid=int(found[3])) if found else None


@dataclass(frozen=True, kw_only=True)
class LeaseSeen:
    """A lease as it was read. ``acquired`` and ``renewed`` are aware UTC; ``version`` is the object's, to replace just
    this one.
    """

    holder: str
    acquired: datetime | None
    renewed: datetime | None
    duration: timedelta
    version: str

    def expired(self, now: datetime) -> bool:
        """Whether it was not renewed in time. By the clocks of two machines: a hint, no proof."""
        return not self.holder or self.renewed is None or now > self.renewed + self.duration
