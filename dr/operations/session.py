"""What every operation works with: one environment, one connection, one clock, one way to be told to stop."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from dr.clients.kubernetes import KubernetesApi
from dr.clients.record_store import RecordStore
from dr.model.config import Environment


def utc_now() -> datetime:
    """The time now, aware, in UTC: the one clock that is passed to everything else."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run against one environment. ``stop`` is set by Ctrl-C or SIGTERM; ``user`` says who runs it."""

    environment: Environment
    api: KubernetesApi
    user: str
    clock: Callable[[], datetime] = utc_now
    stop: Event = field(default_factory=Event)

    @property
    def records(self) -> RecordStore:
        """The environment's record in its cluster."""
        return RecordStore(self.api, self.environment.namespace, self.environment.name, user=self.user)
