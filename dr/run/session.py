"""What every operation works with: one environment, one connection, one clock, one way to be stopped."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from dr.config.environment import Environment, Override
from dr.core.history import Holder
from dr.kube.api import KubernetesApi
from dr.run.stores import LeaseStore, RecordStore, ReportStore


def utc_now() -> datetime:
    """The time now, aware, in UTC: the one clock that is passed to everything else."""
    return datetime.now(UTC)


def _say_nothing(_: str) -> None:
    """For when nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run against one environment. ``stop`` is set by Ctrl-C or SIGTERM; ``holder`` is who runs it; ``take_over``
    agrees to take the place of an operator who is not heard of any more; ``say`` tells what a long look is doing;
    ``typed`` are the overrides of the guard that were given for this run.
    """

    environment: Environment
    api: KubernetesApi
    holder: Holder
    clock: Callable[[], datetime] = utc_now
    stop: Event = field(default_factory=Event)
    take_over: bool = False
    say: Callable[[str], None] = _say_nothing
    typed: tuple[Override, ...] = ()

    @property
    def overrides(self) -> tuple[Override, ...]:
        """The rules of the guard that are overridden: for this run, or in the configuration."""
        return (*self.typed, *(given.override for given in self.environment.overrides))

    @property
    def lease(self) -> LeaseStore:
        """What keeps two operators out of the environment."""
        return LeaseStore(self.api, self.environment.namespace, self.environment.name)

    @property
    def drill_lease(self) -> LeaseStore:
        """What keeps two drills out of the environment; those who have an incident need not wait for it."""
        return LeaseStore(self.api, self.environment.namespace, f"{self.environment.name}-drill")

    @property
    def drills(self) -> ReportStore:
        """The reports of the environment's drills, in its cluster."""
        return ReportStore(self.api, self.environment.namespace, self.environment.name)

    @property
    def records(self) -> RecordStore:
        """The environment's record in its cluster."""
        return RecordStore(self.api, self.environment.namespace, self.environment.name, user=self.holder.operator)
