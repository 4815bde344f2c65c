"""An extraction, decided: one table as it was at a moment, brought into the live database. Pure; the doing is in
operations.

It is what a dropped or damaged table usually needs: what was written since in other tables stays, and no writer is
stopped.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from dr.core.plan import Plan, Step
from dr.core.target import AUTO
from dr.core.target_options import skew_warning
from dr.extract.differences import undone_by_swap
from dr.extract.limits import size_of
from dr.extract.preconditions import (
    OPERATION,
    ExtractRequest,
    ExtractSituation,
    has_its_place,
    problems_of_extraction,
    warnings_of_live,
)
from dr.extract.table_facts import TableFacts
from dr.postgres.table_name import identifier
from dr.recovery.plan import seal_warning
from dr.recovery.situation import RecoveryBase, base_of


@dataclass(frozen=True, kw_only=True)
class ExtractDecision:
    """All that was decided. ``seals`` says whether the source's WAL is sealed first; ``clears`` that the scratch
    Cluster of an earlier run failed for good and is made anew; ``placed`` that only tidying up is left;
    ``fetching`` how WAL is fetched, None where barman is left alone; ``promise`` where the recovery has to end, None
    where not known; ``agreed`` what a swap undoes besides the rows, as far as the plan tells it.
    """

    request: ExtractRequest
    source: ClusterSnapshot
    live: ClusterSnapshot
    base: BaseBackup
    scratch: Mapping[str, Any]
    fetching: Fetching | None
    seals: bool
    clears: bool
    placed: bool
    plan: Plan
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
    placed = has_its_place(environment, request, situation)
    healthy = recovery.recovered is not None and recovery.recovered.healthy
    seals = request.seal and not recovery.primary_down and not healthy
    plan = Plan(
        operation=OPERATION,
        environment=environment.name,
        facts=_facts(environment, request, situation, found, live, placed=placed),
        warnings=tuple(_warnings(environment, request, situation, found, segments, placed=placed)),
        steps=tuple(_steps(environment, request, situation, live, found, seals=seals, placed=placed)),
    )
    return ExtractDecision(
        request=request,
        source=source,
        live=live,
        base=base,
        scratch=manifest,
        fetching=fetching_for(manifest, found.archive, base, to_the_end=False) if anew else None,
        seals=seals,
        clears=recovery.recovered_gave_up,
        placed=placed,
        plan=plan,
        promise=promise_of(found.archive, base, request.target),
        agreed=undone_by_swap(request, situation),
    )


def amount_of(table: TableFacts) -> str:
    """How much is in a table, for people; PostgreSQL knows about how many rows once it has looked (``ANALYZE``)."""
    return (f"about {table.rows:,} rows, " if table.rows else "") + size_of(table.size)


def _facts(
    environment: Environment,
    request: ExtractRequest,
    situation: ExtractSituation,
    base: RecoveryBase,
    live: ClusterSnapshot,
    *,
    placed: bool,
) -> dict[str, str]:
    seen, stands_in = situation.live_seen, situation.recovery.stands_in
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
        + (f"which is gone: known by {stands_in}" if stands_in else "left as it is"),
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
        yield f"Going on with the scratch Cluster {situation.scratch_name}, which is there already."
    else:
        yield from seal_warning(recovery, request.target, seal=request.seal)
    yield from skew_warning(recovery.clock_ahead)
    if base.passed_over:
        yield f"{base.passed_over}."
    if base.archive is not None and base.backup is not None:
        live = recovery.source.system_id if recovery.source else ""
        yield from warnings_of_wal(base.archive, base.backup, request.target, seen_at=recovery.seen_at, live=live)
    if recovery.source is not None:
        yield from one_by_one(recovery.source, segments, context=environment.kubernetes.context)
        names = {"namespace": environment.namespace, "name": situation.scratch_name}
        yield from identity_warning(recovery.source.spec, project=environment.gcp_project, **names)
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
        yield f"There is a scratch Cluster of another extraction, {name}: kubectl delete cluster {name}"


def _steps(
    environment: Environment,
    request: ExtractRequest,
    situation: ExtractSituation,
    live: ClusterSnapshot,
    base: RecoveryBase,
    *,
    seals: bool,
    placed: bool,
) -> Iterator[Step]:
    kubectl = f"kubectl --context {shlex.quote(environment.kubernetes.context)} -n {environment.namespace}"
    psql = f"{kubectl} exec {live.primary} -c postgres -- psql -d {shlex.quote(live.database)} -c "
    scratch, recovery = situation.scratch_name, situation.recovery
    if not placed:
        if seals:
            yield Step(
                key="seal-wal",
                done_when="PostgreSQL reports the segment as archived",
                title="Seal the WAL",
                detail=f"one commit on {recovery.source.primary if recovery.source else ''}, a new WAL segment, and "
                "the old one in the archive; no writer is stopped",
            )
        yield Step(
            key="recover",
            done_when="CloudNativePG calls the scratch Cluster healthy",
            title="Recover",
            detail=f"the scratch Cluster {scratch} from {base} and WAL up to the target",
            undo=(f"{kubectl} delete cluster {scratch}",),
        )
        yield Step(
            key="find",
            done_when="the table is there, and there is room for it",
            title="Find it",
            detail=f"{request.table} in {scratch}: rows, size, what depends on it",
        )
        yield Step(
            key="load",
            done_when="the transaction is committed",
            title="Load",
            detail=f"pg_dump from {scratch} into the schema {request.staging} of {live.name}, in one transaction",
            undo=(psql + shlex.quote(f"DROP SCHEMA IF EXISTS {request.staging} CASCADE"),),
        )
        yield Step(
            key="verify",
            done_when="both sides give the same answer",
            title="Verify",
            detail="the rows that were loaded are those of the scratch Cluster",
        )
        yield _place(request, situation, psql)
    if request.swap:
        yield Step(
            key="settle", title="Settle", detail="check foreign keys, fill materialized views; what fails is reported"
        )
    if request.keep_scratch:
        yield Step(
            key="put-back",
            done_when="the table is where it was",
            title="Leave it in order",
            detail=f"in the scratch Cluster {scratch}, which is kept, {request.table} goes back to where it was",
        )
    else:
        yield Step(
            key="remove-scratch",
            done_when="nothing that it owned is left",
            title="Tidy up",
            detail=f"delete the scratch Cluster {scratch}, with its volume and Secrets",
        )


def _place(request: ExtractRequest, situation: ExtractSituation, psql: str) -> Step:
    if not request.swap:
        schema, table = identifier(request.recovered.schema), identifier(request.recovered.table)
        return Step(
            key="place",
            done_when="the transaction is committed",
            title="Give it its name",
            detail=f"{request.recovered}, with indexes and sequences to match",
            undo=(psql + shlex.quote(f"DROP TABLE IF EXISTS {schema}.{table}"),),
        )
    seen = situation.live_seen
    kept = f"{request.table} becomes {request.kept}, and " if seen and seen.table else ""
    return Step(
        key="place",
        done_when="the transaction is committed",
        title="Swap it in",
        detail=f"in one transaction: {kept}the recovered table becomes {request.table}",
    )
