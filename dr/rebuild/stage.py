"""What a full rebuild is run with: the stacks, the way to the new cluster, and what it remembers outside of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event

from dr.config.environment import Environment
from dr.config.infrastructure import Platform
from dr.core.holder import Holder
from dr.engine.recovery_stack import RecoveryStack
from dr.rebuild.layers import Layer
from dr.rebuild.store import RebuildLease, RebuildRecords
from dr.run.evidence import Evidence
from dr.run.journal import Journal
from dr.run.reporting import Reporter
from dr.run.session import Session


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The stacks of a platform, in the order in which they come up; ``argocd`` is None where none is configured."""

    durable: Layer
    platform: Layer
    argocd: Layer | None
    root: tuple[str, str]
    """Namespace and name of the Application that declares the others."""

    @property
    def all(self) -> tuple[Layer, ...]:
        """Those that there are."""
        return (self.durable, self.platform, *([self.argocd] if self.argocd else []))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One full rebuild of one environment.

    ``connect`` writes the credentials of the cluster that the platform stack holds and returns a session on it, anew at
    each call, as they do not last for ever; ``inner`` makes what an operation inside this one works with on such a
    session, given its name; ``known`` are the last answers to the verification's questions; ``moved`` is the platform
    as it is in another region, where one was asked for.
    """

    environment: Environment
    layers: Layers
    records: RebuildRecords
    lease: RebuildLease
    holder: Holder
    connect: Callable[[], Session]
    inner: Callable[[Session, str], tuple[RecoveryStack, Journal]]
    journal: Journal
    reporter: Reporter
    clock: Callable[[], datetime]
    stop: Event
    take_over: bool
    known: Mapping[str, str]
    moved: Platform | None = None
    evidence: Evidence = field(default_factory=Evidence)
