"""What is remembered of a rebuild, beside Pulumi's state: the record and the lease that an environment's cluster has,
while there is no such cluster.

A rebuild makes the very cluster that everything else is remembered in. So its journal and the lock that keeps a second
operator out lie where the state of its stacks lies, which has to survive anyway.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import ValidationError

from dr.config.environment import Environment
from dr.core.errors import AccessError
from dr.core.holder import LeaseSeen
from dr.engine.backend import Backend
from dr.engine.processes import this_process
from dr.rebuild.kept_text import KeptText, kept_text
from dr.run.record import Record


class RebuildRecords:
    """The record of an environment's rebuilds: as the record in its cluster, for its operations only."""

    def __init__(self, backend: str, environment: str, *, user: str) -> None:
        """``backend`` is the URL of the state's place, ``user`` who writes."""
        self.name = f"postgres-dr-{environment}.rebuild.json"
        self._text: KeptText = kept_text(backend, self.name)
        self._user = user

    @property
    def where(self) -> str:
        """Where it is kept."""
        return self._text.where

    def read(self) -> Record | None:
        """The record, or None before the first rebuild. Raises AccessError."""
        found = self._text.read()
        return self._parsed(found[0]) if found else None

    def change(self, change: Callable[[Record], Record], *, now: datetime) -> Record:
        """Apply ``change`` to the record (an empty one at first) and keep it. Raises AccessError."""
        found = self._text.read()
        before = self._parsed(found[0]) if found else Record(updated=now, updated_by=self._user)
        after = change(before).model_copy(update={"updated": now, "updated_by": self._user})
        if not self._text.write(after.model_dump_json(), over=found[1] if found else None):
            raise AccessError(
                "journal-changed",
                f"{self.where} was changed by another run meanwhile",
                "see who else is at work, and repeat the command",
            )
        return after

    def _parsed(self, text: str) -> Record:
        try:
            return Record.model_validate_json(text)
        except ValidationError as error:
            raise AccessError(
                "record-unreadable",
                f"{self.where} does not hold a record of this tool: {error}",
                "it was edited or made by a newer version; use that version, or save it and delete it",
            ) from error


class RebuildLease:
    """The lease that keeps a second operator out of a rebuild."""

    def __init__(self, backend: str, environment: str) -> None:
        """``backend`` is the URL of the state's place."""
        self._text: KeptText = kept_text(backend, f"postgres-dr-{environment}.rebuild-lease.json")
        self.what = f"lease {self._text.where}"

    def read(self) -> LeaseSeen | None:
        """The lease, or None before the first rebuild. Raises AccessError. One that is not understood is as none."""
        found = self._text.read()
        if found is None:
            return None
        try:
            kept = json.loads(found[0])
            return LeaseSeen(
                holder=kept["holder"],
                acquired=datetime.fromisoformat(kept["acquired"]),
                renewed=datetime.fromisoformat(kept["renewed"]),
                duration=timedelta(seconds=kept["seconds"]),
                version=found[1],
            )
        except (ValueError, KeyError, TypeError):
            return LeaseSeen(holder="", acquired=None, renewed=None, duration=timedelta(0), version=found[1])

    def write(self, holder: str, now: datetime, duration: timedelta, *, over: LeaseSeen | None) -> bool:
        """Put ``holder`` into the lease in place of ``over``; an empty one gives it back.

        Returns False when it is not ``over`` any more: someone else was quicker. Raises AccessError.
        """
        acquired = over.acquired if over and over.holder == holder and over.acquired else now
        kept = {
            "holder": holder,
            "acquired": acquired.isoformat(),
            "renewed": now.isoformat(),
            "seconds": duration.total_seconds(),
        }
        return self._text.write(json.dumps(kept), over=over.version if over else None)


def rebuild_records(environment: Environment) -> RebuildRecords:
    """What is remembered of the environment's rebuilds."""
    return RebuildRecords(Backend.of(environment).url, environment.name, user=this_process().operator)
