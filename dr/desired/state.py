"""What ``Pulumi.<env>.yaml`` asks for, and what is left to do of it. Pure.

Two can change what the recovery stack holds: operations, which keep it in the record, and a person, who writes it into
the file and runs ``pulumi up``. Neither may undo the other, so the record remembers what the file asked for when it was
last applied. Only what is new in the file is acted on; where it says what it said before, the record has the last word,
as operations may have run since (docs/adr/0002-the-file-and-the-record.md).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dr.cnpg.cluster import cluster_behind
from dr.config.environment import DesiredRecovery, Environment
from dr.core.target import LATEST, TimeTarget
from dr.run.record import Record


class DesiredState(StrEnum):
    """How what the file asks for stands."""

    NOTHING = "nothing asked for"
    PENDING = "not applied yet"
    APPLIED = "applied"
    SUPERSEDED = "applied, and changed since by an operation"


@dataclass(frozen=True, kw_only=True)
class DesiredStateDiff:
    """What the file asks for against the record.

    ``cluster`` is the recovered Cluster that fits, empty while there is none; ``recover`` says that one has to be made;
    ``move`` and ``back`` that the traffic has to go to it, or back to where it came from. None of them is set where
    nothing is pending.
    """

    declared: DesiredRecovery | None
    state: DesiredState
    cluster: str = ""
    recover: bool = False
    move: bool = False
    back: bool = False

    @property
    def target(self) -> TimeTarget | None:
        """The target that is asked for; None for the end of the WAL, or where nothing is."""
        if self.declared is None or self.declared.target_time == LATEST:
            return None
        return TimeTarget(datetime.fromisoformat(self.declared.target_time))

    def __str__(self) -> str:
        """For people."""
        if self.declared is None:
            return str(self.state)
        cutover = {None: "", True: ", with the traffic", False: ", without the traffic"}[self.declared.cutover]
        return f"recovery to {self.declared.target_time}{cutover}: {self.state}"


def asked_for(desired: DesiredRecovery | None) -> Mapping[str, Any]:
    """What the file asked for, as the record remembers it; nothing for none."""
    return desired.model_dump(mode="json", by_alias=True) if desired else {}


def read_desired(environment: Environment, record: Record | None, present: Collection[str]) -> DesiredStateDiff:
    """What is left to do of what the file asks for, when the Clusters ``present`` are there."""
    desired = environment.recovery
    if desired is None:
        return DesiredStateDiff(declared=None, state=DesiredState.NOTHING)
    known = [
        recovery.cluster.name
        for recovery in (record.recoveries if record else ())
        if recovery.cluster.target == desired.target_time
    ]
    cluster = next((name for name in reversed(known) if name in present), "")
    serves = bool(cluster) and record is not None and _points_to(record, environment) == cluster
    # One that was remembered and is not there was never made, or was deleted by hand: that is asked for still.
    made = bool(cluster) or not known
    if record is not None and made and dict(record.applied) == asked_for(desired):
        holds = bool(cluster) and (desired.cutover is None or desired.cutover is serves)
        return DesiredStateDiff(
            declared=desired, state=DesiredState.APPLIED if holds else DesiredState.SUPERSEDED, cluster=cluster
        )
    return DesiredStateDiff(
        declared=desired,
        state=DesiredState.PENDING,
        cluster=cluster,
        recover=not cluster,
        move=desired.cutover is True and not serves,
        back=desired.cutover is False and serves,
    )


def _points_to(record: Record, environment: Environment) -> str:
    return cluster_behind(record.external_name or "", environment.namespace)
