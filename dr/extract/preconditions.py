"""What would stop an extraction, found out before anything is touched.

What the recovery into the scratch Cluster needs is what any recovery needs; only what is about the traffic is left out.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from dr.before_drop.drops import Drop
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.cluster_copy import StandIn
from dr.config.environment import Environment
from dr.core.commands import option_words
from dr.core.errors import Problem
from dr.core.target import TimeTarget
from dr.extract.table_facts import LiveSeen, TableFacts
from dr.postgres.table_name import TableName, kept_as, recovered_as, staging_schema
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import RecoveryRequest, Situation
from dr.run.record import Record

OPERATION = "extract"

_NOT_OURS = {"service-missing", "workload-missing"}
"""No writer is stopped, and the traffic is not moved."""


@dataclass(frozen=True, kw_only=True)
class ExtractRequest:
    """What was asked for. ``source`` is the Cluster to recover from; ``swap`` lets the table take its place under its
    own name; ``keep_scratch`` leaves the scratch Cluster for a look around; ``stand_in`` is what the source is known by
    where it is gone; ``drop`` is what the target was found by, None where it was given.
    """

    table: TableName
    target: TimeTarget
    source: str
    source_given: bool = False
    swap: bool = False
    keep_scratch: bool = False
    seal: bool = True
    stand_in: StandIn | None = None
    drop: Drop | None = None

    @property
    def recovered(self) -> TableName:
        """What the table is called next to the present one."""
        return recovered_as(self.table, self.target)

    @property
    def kept(self) -> TableName:
        """What the present one is called after a swap."""
        return kept_as(self.table, self.target)

    @property
    def final(self) -> TableName:
        """What the table is called in the end."""
        return self.table if self.swap else self.recovered

    @property
    def staging(self) -> str:
        """The schema that it is loaded into first."""
        return staging_schema(self.table, self.target)

    def command(self, environment: Environment) -> str:
        """The command line that asks for this again."""
        return environment.commands.dr(OPERATION, *self._options)

    def made(self, command: str) -> bool:
        """Whether ``command`` asks for the same: on another machine the configuration may be in another folder."""
        with suppress(ValueError):
            return option_words(command)[1:] == list(self._options)
        return False

    @property
    def _options(self) -> Iterator[str]:
        yield from ("--table", str(self.table), "--target-time", self.target.value)
        if self.source_given:
            yield from ("--source", self.source)
        if self.stand_in is not None:
            yield from ("--source-manifest", self.stand_in.origin)
        options = (("--swap", self.swap), ("--keep-scratch", self.keep_scratch), ("--skip-seal", not self.seal))
        yield from (option for option, on in options if on)


@dataclass(frozen=True, kw_only=True)
class ExtractSituation:
    """What was there. ``recovery`` is what a recovery into the scratch Cluster decides on, its ``recovered`` being the
    scratch Cluster; ``live`` the Cluster that serves, None where there is none; ``live_seen`` what its database said,
    None where it does not answer; ``loaded`` is the oid of the table that an earlier run has loaded, by the scratch
    Cluster; ``found`` is the table of the target, where an earlier run has left a scratch Cluster that has it; ``left``
    are scratch Clusters of other extractions.
    """

    recovery: Situation
    scratch_name: str
    live: ClusterSnapshot | None
    live_seen: LiveSeen | None
    loaded: int | None = None
    found: TableFacts | None = None
    left: tuple[str, ...] = ()

    @property
    def record(self) -> Record | None:
        """The environment's record."""
        return self.recovery.record


def has_its_place(request: ExtractRequest, situation: ExtractSituation) -> bool:
    """Whether this very command was given before, has given the table its place, and was stopped after that.

    The scratch Cluster notes which table it is; once that is gone too, the journal tells.
    """
    last = situation.record.unfinished if situation.record else None
    if last is None or last.operation != OPERATION or not request.made(last.go_on):
        return False
    seen = situation.live_seen
    oid = None
    if seen is not None:
        oid = (seen.table.oid if seen.table else None) if request.swap else seen.recovered
    noted = situation.recovery.recovered is None and "place" in last.done
    return oid is not None and (situation.loaded == oid or noted)


def problems_of_extraction(
    environment: Environment, request: ExtractRequest, situation: ExtractSituation
) -> Iterator[Problem]:
    """Every precondition that does not hold, in the order in which they are worth fixing."""
    yield from _problems_of_live(environment, request, situation)
    asked = RecoveryRequest(
        target=request.target,
        source=request.source,
        recovered_name=situation.scratch_name,
        seal=request.seal,
        go_on=True,
        stand_in=request.stand_in,
    )
    # Nobody logs in to the scratch Cluster with the application's password.
    found = preconditions(environment, asked, replace(situation.recovery, app_secret_exists=True))
    yield from (problem for problem in found if problem.code not in _NOT_OURS)


def _problems_of_live(
    environment: Environment, request: ExtractRequest, situation: ExtractSituation
) -> Iterator[Problem]:
    live, seen, table = situation.live, situation.live_seen, request.table
    if live is None or seen is None:
        where = (
            f"{environment.namespace}/{environment.service} points to {situation.recovery.external_name or 'nothing'}"
        )
        yield Problem(
            code="live-database-missing",
            cause=f"the primary of {live.name} does not answer" if live else f"there is no live database: {where}",
            remedy="extract needs a running database; use pitr or latest instead",
        )
        return
    if not seen.schema_exists:
        yield Problem(
            code="schema-missing",
            cause=f"there is no schema {table.schema} in {live.name} for the table to go into",
            remedy=f"create it, with its owner and grants: CREATE SCHEMA {table.schema}",
        )
    if has_its_place(request, situation):
        return
    taken = None if request.swap else request.recovered if seen.recovered else None
    if request.swap and seen.table and seen.kept:
        taken = request.kept
    if taken:
        yield Problem(
            code="recovered-table-exists",
            cause=f"there is a {taken} in {live.name} already",
            remedy="look at it, then rename or drop it; or give another --target-time",
        )
    if request.swap and seen.table:
        yield from _problems_of_swap(request, seen)


def _problems_of_swap(request: ExtractRequest, seen: LiveSeen) -> Iterator[Problem]:
    present = seen.table
    if present is None:
        return
    if present.unsupported:
        yield Problem(
            code="table-not-supported",
            cause=f"{request.table} in the live database cannot be swapped: {present.unsupported}",
            remedy="leave --swap out: the table is loaded under another name",
        )
    snapshots = [str(view) for view in present.views if view.materialized]
    # Their rows are checked at once, while everybody waits for the table.
    checked = [f"{key}, which is partitioned" for key in present.keys_in if key.partitioned]
    published = [f"its place in publication {name}" for name in present.publications]
    if hindering := list(dict.fromkeys([*present.others, *snapshots, *checked, *published])):
        yield Problem(
            code="table-has-dependents",
            cause=f"what depends on {request.table} would still use the old one, or lack rows: " + "; ".join(hindering),
            remedy="leave --swap out, and copy the rows from the recovered table (which publications send, too); or "
            "drop what depends on it first",
        )


def warnings_of_live(request: ExtractRequest, seen: LiveSeen | None) -> Iterator[str]:
    """What the live database says of what will be lost, or is not certain, before anything was recovered."""
    if seen is None:
        return
    present, names = seen.table, ", ".join
    if present and present.unsupported and not request.swap:
        yield f"{request.table} cannot be extracted if it was at the target what it is now: {present.unsupported}."
    if present and present.object_columns:
        columns = names(map(str, present.object_columns))
        yield f"Large objects are not brought back with a table: {columns} may refer to some."
    if present and present.calls:
        yield (
            f"Indexes, constraints or columns of {request.table} call {names(present.calls)}, which may find what they "
            "need by search_path only: it is loaded with the database's own."
        )
    if present and request.swap:
        yield (
            "If the present table was changed since the target (columns, indexes, constraints, triggers, rights, row "
            "security), this stops once the table is found, before it is loaded, and says what the swap would undo."
        )
        if present.keys_out:
            yield f"{request.kept} is kept without {names(map(str, present.keys_out))}."
    if seen.publishing:
        yield (
            f"Publication {names(seen.publishing)} takes in every table of {request.table.schema}: it does not send "
            f"the rows that are brought back, and sends what is written to {request.final} later; subscribers that "
            "have no such table stop at that."
        )
    if seen.event_triggers:
        yield (
            f"Event triggers do not run for what is done here: {names(seen.event_triggers)}. What they log, grant or "
            "reload is to be done by hand."
        )
