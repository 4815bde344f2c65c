"""The ledger test's two decisions, both pure: what a random schedule does to a database, and what may be missing then.

A row counts from the moment at which its commit was acknowledged. It may be missing later only where the plan of an
operation had said so in a number, before it was agreed to.
"""

import random
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

RECOVERIES = ("latest", "pitr")
MOVES = ("switchover", "rollback")

API, FOLLOWS, STAYS = "api", "follows", "stays"
"""The writers: through the application; a direct connection to the Cluster that the Service leads to when it is made;
a direct connection to the first Cluster, whatever the Service says."""

_MIXES = ((API,), (API, FOLLOWS), (API, STAYS), (API, FOLLOWS, STAYS), (FOLLOWS,))

STORE = ("503", "404", "slow", "cut")
DAMAGE = ("truncated", "replaced")
KUBELET, KILL = "kubelet", "kill"
CALM = "none"

_STEPS: Mapping[str, tuple[str, ...]] = {
    "latest": ("remember", "stop-writers", "seal-wal", "credentials", "recover", "verify"),
    "pitr": ("remember", "stop-writers", "seal-wal", "credentials", "recover", "verify"),
    "switchover": ("remember", "stop-writers", "fence", "unfence", "switch", "start-workloads", "back-up"),
    "rollback": ("remember", "stop-writers", "fence", "unfence", "switch", "start-workloads"),
    "extract": ("recover", "load"),
    "finalize": ("prove", "carry-over", "delete-old", "hand-over"),
}
"""Operation -> steps in which a fault of a moment may come."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong while a command runs.

    ``kind`` is one of those above. ``step`` is the step of the plan in which it begins: empty for one that is there
    from before the command; of the object store also ``replay``, when the segment number ``segment`` of those that the
    story has archived is first asked for. ``seconds`` is how long the fault lasts, or for a kill how long the step has
    run.
    """

    kind: str = CALM
    step: str = ""
    seconds: float = 0.0
    segment: int = 0
    everything: bool = False
    """Of the object store: every request, not only those for WAL."""

    def __str__(self) -> str:
        """For the report."""
        return f"{self.kind}@{self.step or 'start'}" if self.kind != CALM else CALM


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation of a story, and the fault that it meets. ``swap`` is of an extraction; ``again`` says that after a
    kill the same command is given again, and not ``resume``.
    """

    name: str
    fault: Fault = field(default_factory=Fault)
    swap: bool = False
    again: bool = False

    def __str__(self) -> str:
        """For the report."""
        return f"{self.name}{' --swap' if self.swap else ''} [{self.fault}]"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A story: who writes all the while, and which operations come one after the other."""

    seed: int
    writers: tuple[str, ...]
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        """For the report."""
        return f"seed {self.seed}: {', '.join(self.writers)} write; {'; '.join(map(str, self.operations))}"


SEGMENTS = 4
"""How many WAL segments a story archives before its first operation."""


def schedule(seed: int) -> Schedule:
    """The story of ``seed``, always the same one."""
    rng = random.Random(seed)
    names = ["extract"] if rng.random() < 0.25 else []
    names.append(rng.choice(RECOVERIES))
    if rng.random() < 0.85:
        names.append("switchover")
        names += rng.choice([[], ["rollback"], ["rollback"], ["finalize"], ["finalize"], ["extract"]])
    return Schedule(
        seed=seed,
        writers=rng.choice(_MIXES),
        operations=tuple(
            Operation(
                name=name,
                fault=_fault(rng, name),
                swap=name == "extract" and rng.random() < 0.5,
                again=name not in RECOVERIES and rng.random() < 0.5,
            )
            for name in names
        ),
    )


def _fault(rng: random.Random, operation: str) -> Fault:
    reads_wal = operation in (*RECOVERIES, "extract")
    kinds = [CALM, KILL, KILL, KUBELET, "503"]
    if reads_wal:
        kinds += [*STORE, *DAMAGE]
    kind = rng.choice(kinds)
    steps, segment = _STEPS[operation], rng.randrange(SEGMENTS)
    if kind in (KILL, KUBELET):
        longest = 3.0 if kind == KILL else 25.0
        return Fault(kind=kind, step=rng.choice(steps), seconds=round(rng.uniform(0, longest), 1))
    if kind in DAMAGE:
        return Fault(kind=kind, segment=segment)
    if kind in STORE:
        step = rng.choice(("", "replay")) if reads_wal else ""
        everything = kind in ("503", "slow") and not step and rng.random() < 0.5
        seconds = round(rng.uniform(5, 30), 1)
        return Fault(kind=kind, step=step, seconds=seconds, segment=segment, everything=everything)
    return Fault()


@dataclass(frozen=True)
class Row:
    """An acknowledged row. ``number`` is that of its writer's own counting; of the application's rows it is the ID that
    the database gave, and as a recovered database may give it once more, ``committed_at`` goes with it.
    """

    writer: str
    number: int
    committed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What one database has: the ledger's rows as (writer, number), and of each ID of the application's rows the times
    at which rows of that ID were begun, in any of the tables that are counted together. ``others`` are the commits
    of rows that nobody acknowledged to the test: those of the lab's worker.
    """

    ledger: frozenset[tuple[str, int]]
    users: Mapping[int, Collection[datetime]]
    others: int = 0

    def has(self, row: Row) -> bool:
        """Whether this very row is there: one that was begun after its commit is another one of the same ID."""
        if row.committed_at is None:
            return (row.writer, row.number) in self.ledger
        return any(begun <= row.committed_at for begun in self.users.get(row.number, ()))

    def missing(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Those of ``rows`` that are not there."""
        return tuple(row for row in rows if not self.has(row))


def union(all_contents: Iterable[Contents]) -> Contents:
    """What is in any of them."""
    ledger: set[tuple[str, int]] = set()
    users: dict[int, set[datetime]] = {}
    for contents in all_contents:
        ledger |= contents.ledger
        for number, begun in contents.users.items():
            users.setdefault(number, set()).update(begun)
    return Contents(ledger=frozenset(ledger), users=users)


_COUNT = re.compile(r"(?:at least )?([\d,]+) transactions?\b")


def announced_in(plans: Iterable[Mapping[str, Any]], fact: str) -> int | None:
    """The largest number of transactions that ``fact`` of one of the plans that were agreed to announces as left out
    or left behind; None where no plan has a number.
    """
    numbers = list(_numbers(plans, fact))
    return max(numbers) if numbers else None


def _numbers(plans: Iterable[Mapping[str, Any]], fact: str) -> Iterator[int]:
    for plan in plans:
        text = str(plan["facts"].get(fact, ""))
        if text.startswith("no transaction"):
            yield 0
        elif found := _COUNT.match(text):
            yield int(found[1].replace(",", ""))


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a move of the traffic has left behind of the acknowledged rows, held against what was announced.

    ``late`` are unannounced rows that were acknowledged only while the command was at work already; ``unannounced`` are
    all others.
    """

    rows: tuple[Row, ...] = ()
    announced: int | None = None
    unannounced: int = 0
    late: int = 0

    def __str__(self) -> str:
        """For the report."""
        number = "no number" if self.announced is None else self.announced
        return f"{len(self.rows)} left behind, announced {number}, unannounced {self.unannounced} and late {self.late}"


def loss_of_move(
    acknowledged: Sequence[Row],
    behind: Collection[Row],
    contents: Contents,
    *,
    announced: int | None,
    late_from: int | None = None,
    others: int = 0,
) -> Loss:
    """The loss of a move to a Cluster with ``contents``, or of a recovery of it.

    ``acknowledged`` are all rows so far, in order; ``behind`` those that an earlier move left behind. ``others`` are
    commits beside them that stay behind too, and are announced in the same number. Rows from the place ``late_from`` on
    may be late: those of a recovery that is no move. A move counts again once nobody can write, and so knows of all.
    """
    lost = [(place, row) for place, row in enumerate(acknowledged) if row not in behind and not contents.has(row)]
    late = sum(late_from is not None and place >= late_from for place, _ in lost)
    excess = min(len(lost), max(0, len(lost) + others - (announced or 0)))
    return Loss(
        rows=tuple(row for _, row in lost),
        announced=announced,
        unannounced=max(0, excess - late),
        late=min(excess, late),
    )
