"""An extraction, decided: one table as it was at a moment, brought into the live database. Pure; the doing is in
operations.

It is what a dropped or damaged table usually needs: what was written since in other tables stays, and no writer is
stopped.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dr.archive.contents import BaseBackup
from dr.archive.promise import Promise, promise_of
from dr.archive.wal_needed import warnings_of_wal
from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.fetch_ahead import Fetching, fetching_for, one_by_one, segments_to_replay
from dr.cnpg.recovered import identity_warning
from dr.cnpg.scratch import derive_scratch_cluster, warnings_of_scratch
from dr.config.environment import Environment
from dr.core.errors import RefusedError
from dr.core.target import AUTO
from dr.core.target_options import skew_warning
from dr.core.text import bytes_of
from dr.extract.differences import undone_by_swap
from dr.extract.preconditions import (
    ExtractRequest,
    ExtractSituation,
    has_its_place,
    problems_of_extraction,
    warnings_of_live,
)
from dr.extract.table_facts import TableFacts
from dr.recovery.plan import seal_warning
from dr.recovery.situation import RecoveryBase, base_of


@dataclass(frozen=True, kw_only=True)
class ExtractDecision:
    """All that was decided. ``present`` says that the table is in the live database now; ``begins_from`` what
    ``base`` is taken from; ``seals`` whether the source's WAL is sealed first; ``clears`` that the scratch
    Cluster of an earlier run failed for good and is recreated; ``placed`` that only tidying up is left;
    ``fetching`` how WAL is fetched, None where barman is left alone; ``promise`` where the recovery has to end, None
    where not known; ``agreed`` what a swap undoes besides the rows, as far as the plan tells it.
    """

    environment: Environment = field(repr=False)
    request: ExtractRequest
    source: ClusterSnapshot
    live: ClusterSnapshot
    present: bool
    base: BaseBackup
    begins_from: str
    scratch: Mapping[str, Any]
    fetching: Fetching | None
    seals: bool
    clears: bool
    placed: bool
    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    promise: Promise | None = None
    agreed: tuple[str, ...] = ()

    @property
    def scratch_name(self) -> str:
        """The scratch Cluster's name."""
        return str(self.scratch["metadata"]["name"])


def decide_extraction(
    environment: Environment, request: ExtractRequest, situation: ExtractSituation
) -> ExtractDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(problems_of_extraction(environment, request, situation))
    recovery, live = situation.recovery, situation.live
    source = recovery.source
    store = source.store if source else None
    found = base_of(request.target, AUTO, recovery)
    base = found.backup
    if problems or source is None or store is None or base is None or live is None:
        raise RefusedError(problems)
    manifest = derive_scratch_cluster(
        source,
        store,
        name=situation.scratch_name,
        target=request.target,
        base=base.backup_id,
        snapshot=found.snapshot,
    )
    segments = segments_to_replay(found.archive, base) if found.archive else 0
    anew = recovery.recovered is None or recovery.recovered_gave_up
    placed = has_its_place(request, situation)
    healthy = recovery.recovered is not None and recovery.recovered.healthy
    seals = request.seal and not recovery.primary_down and not healthy
    return ExtractDecision(
        environment=environment,
        request=request,
        source=source,
        live=live,
        present=situation.live_seen is not None and situation.live_seen.table is not None,
        base=base,
        begins_from=str(found),
        scratch=manifest,
        fetching=fetching_for(manifest, found.archive, base, to_the_end=False) if anew else None,
        seals=seals,
        clears=recovery.recovered_gave_up,
        placed=placed,
        facts=_facts(environment, request, situation, found, live, placed=placed),
        warnings=tuple(_warnings(environment, request, situation, found, segments, placed=placed)),
        promise=promise_of(found.archive, base, request.target),
        agreed=undone_by_swap(request, situation),
    )


def amount_of(table: TableFacts) -> str:
    """How much is in a table, for people; PostgreSQL knows about how many rows once it has looked (``ANALYZE``)."""
    return (f"about {table.rows:,} rows, " if table.rows else "") + bytes_of(table.size)


def _facts(
    environment: Environment,
    request: ExtractRequest,
    situation: ExtractSituation,
    base: RecoveryBase,
    live: ClusterSnapshot,
    *,
    placed: bool,
) -> dict[str, str]:
    seen, stand_in_origin = situation.live_seen, situation.recovery.stand_in_origin
    present = seen.table if seen else None
    now = amount_of(present) if present else "not there"
    if placed:
        becomes = f"{request.final}, which it is already"
    elif present and request.swap:
        becomes = f"{request.table}; the present one is kept as {request.kept}"
    else:
        becomes = str(request.final) + (f"; {request.table} stays as it is" if present else "")
    return {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        **(request.drop.facts if request.drop else {}),
        "Table": f"{request.table} as it was at {request.target}, inclusive",
        "Live": f"{live.namespace}/{live.name}, database {live.database}: {request.table} is {now}",
        "Becomes": becomes,
        "Source": f"{environment.namespace}/{request.source}, "
        + (f"which is gone: known by {stand_in_origin}" if stand_in_origin else "left as it is"),
        "Base backup": base.described,
        "Scratch": f"{environment.namespace}/{situation.scratch_name}, one instance, archives nothing, "
        + ("kept" if request.keep_scratch else "deleted in the end"),
        "Limit": f"{environment.timeouts.recovery_minutes:g} min from creation to healthy",
    }


def _warnings(
    environment: Environment,
    request: ExtractRequest,
    situation: ExtractSituation,
    base: RecoveryBase,
    segments: int,
    *,
    placed: bool,
) -> Iterator[str]:
    seen, recovery = situation.live_seen, situation.recovery
    if placed:
        yield f"{request.final} has its place already; what is left is to tidy up."
        return
    if recovery.recovered is not None:
        yield f"Continuing with the scratch Cluster {situation.scratch_name}, which is there already."
    else:
        yield from seal_warning(recovery, request.target, seal=request.seal)
    yield from skew_warning(recovery.clock_ahead)
    if base.skipped_reason:
        yield f"{base.skipped_reason}."
    if base.archive is not None and base.backup is not None:
        live = recovery.source.system_id if recovery.source else ""
        yield from warnings_of_wal(base.archive, base.backup, request.target, seen_at=recovery.seen_at, live=live)
    if recovery.source is not None:
        yield from one_by_one(recovery.source, segments, commands=environment.commands)
        yield from identity_warning(
            recovery.source,
            namespace=environment.namespace,
            name=situation.scratch_name,
            project=environment.gcp_project,
        )
        yield from warnings_of_scratch(recovery.source)
    if request.swap and seen and seen.table:
        yield (
            f"What was written to {request.table} since the target will be in {request.kept} only; it is not merged. "
            "Foreign keys and views that use it are pointed to the recovered one."
        )
    if request.swap:
        yield (
            "Foreign keys are made unchecked, and checked right after; which rows fail is reported. Views and foreign "
            "keys that were lost with the table are made again."
        )
    else:
        yield f"{request.recovered} gets no foreign keys to other tables: they would hinder deletions there."
    yield from warnings_of_live(request, seen)
    yield from (
        f"The swap undoes what was changed since the target: {one}." for one in undone_by_swap(request, situation)
    )
    for name in situation.left:
        delete = environment.commands.kubectl("delete", "cluster", name, namespace=environment.namespace)
        yield f"There is a scratch Cluster of another extraction, {name}: {delete}"
