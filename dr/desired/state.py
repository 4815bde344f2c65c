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
from dr.config.environment import Environment, RecoveryWish
from dr.core.target import LATEST, TimeTarget
from dr.run.record import Record


class WishState(StrEnum):
    """How what the file asks for stands."""

    NOTHING = "nothing asked for"
    PENDING = "not applied yet"
    APPLIED = "applied"
    OVERTAKEN = "applied, and changed since by an operation"


@dataclass(frozen=True, kw_only=True)
class WishSeen:
    """What the file asks for against the record.

    ``cluster`` is the recovered Cluster that fits, empty while there is none; ``recover`` says that one has to be made;
    ``move`` and ``back`` that the traffic has to go to it, or back to where it came from. None of them is set where
    nothing is pending.
    """

    wish: RecoveryWish | None
    state: WishState
    cluster: str = ""
    recover: bool = False
    move: bool = False
    back: bool = False

    @property
    def target(self) -> TimeTarget | None:
        """The target that is asked for; None for the end of the WAL, or where nothing is."""
        if self.wish is None or self.wish.target_time == LATEST:
            return None
        return TimeTarget(datetime.fromisoformat(self.wish.target_time))

    def __str__(self) -> str:
        """For people."""
        if self.wish is None:
            return str(self.state)
        cutover = {None: "", True: ", with the traffic", False: ", without the traffic"}[self.wish.cutover]
        return f"recovery to {self.wish.target_time}{cutover}: {self.state}"


def asked_for(wish: RecoveryWish | None) -> Mapping[str, Any]:
    """What the file asked for, as the record remembers it; nothing for none."""
    return wish.model_dump(mode="json", by_alias=True) if wish else {}


def read_wish(environment: Environment, record: Record | None, present: Collection[str]) -> WishSeen:
    """What is left to do of what the file asks for, when the Clusters ``present`` are there."""
    wish = environment.recovery
    if wish is None:
        return WishSeen(wish=None, state=WishState.NOTHING)
    known = [
        recovery.cluster.name
        for recovery in (record.recoveries if record else ())
        if recovery.cluster.target == wish.target_time
    ]
    cluster = next((name for name in reversed(known) if name in present), "")
    serves = bool(cluster) and record is not None and _points_to(record, environment) == cluster
    # One that was remembered and is not there was never made, or was deleted by hand: that is asked for still.
    made = bool(cluster) or not known
    if record is not None and made and dict(record.applied) == asked_for(wish):
        holds = bool(cluster) and (wish.cutover is None or wish.cutover is serves)
        return WishSeen(wish=wish, state=WishState.APPLIED if holds else WishState.OVERTAKEN, cluster=cluster)
    return WishSeen(
        wish=wish,
        state=WishState.PENDING,
        cluster=cluster,
        recover=not cluster,
        move=wish.cutover is True and not serves,
        back=wish.cutover is False and serves,
    )


def _points_to(record: Record, environment: Environment) -> str:
    return cluster_behind(record.external_name or "", environment.namespace)
