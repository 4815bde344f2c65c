"""A recovery, decided: from a request and a situation to what its steps need. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from dr.archive.contents import BaseBackup
from dr.archive.promise import Promise, promise_of
from dr.archive.wal_needed import warnings_of_wal
from dr.archive.window import problems_of_holes
from dr.cnpg.cluster import ClusterSnapshot, ObjectStore
from dr.cnpg.fetch_ahead import Fetching, fetching_for, not_waited_for, one_by_one, segments_to_replay
from dr.cnpg.quiet import libraries_of, quiet_parameters, quieted
from dr.cnpg.recovered import (
    RecoveredCluster,
    certificate_warning,
    derive_recovered_cluster,
    identity_warning,
    label_warning,
    left_out,
)
from dr.config.environment import Environment
from dr.config.names import free_name
from dr.core.errors import RefusedError
from dr.core.target import (
    ImmediateTarget,
    LaterCommits,
    LsnTarget,
    NameTarget,
    RecoveryTarget,
    TimeTarget,
    XidTarget,
    time_of,
)
from dr.core.target_options import skew_warning
from dr.core.text import whole_seconds_of
from dr.gitops.argocd import Manager, argocd_warnings
from dr.gitops.flux import flux_warnings
from dr.kube.objects import CopiedSecret, Workload
from dr.postgres.clients import named
from dr.postgres.outside import Outside
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import RecoveryBase, RecoveryRequest, Situation, base_of
from dr.traffic.writer_model import BackgroundWriter, with_counts

_UNSEALED_TIME = "if no commit after the target was archived, the recovery will fail and say so."
_UNSEALED_PLACE = "if the target itself was not archived, the recovery will fail and say so."
_UNSEALED_LATEST = "what was committed but not archived yet will be missing from the recovered cluster."


@dataclass(frozen=True, kw_only=True)
class RecoveryDecision:
    """All that was decided; what the steps need to act, so that they decide nothing themselves.

    ``begins_from`` says what ``base`` is taken from; ``present`` are the names of all Clusters that were there;
    ``segments`` is how many archived WAL segments lie behind the base backup; ``fetching`` says how they are fetched,
    None where barman is left alone; ``seals`` whether the source's WAL is sealed; ``commits_after_target`` are the
    transactions that a target leaves out, None where they could not be counted. ``promise`` is where the recovery has
    to end as far as the archive says, None where it does not; ``clears`` says that the Cluster of an earlier run, whose
    recovery failed, is deleted first; ``begun`` that the Cluster is there already, so that what is sealed now may come
    too late for it; ``broken_off`` that it ends at a hole in the archive, which was agreed to, so that it does not come
    to what is sealed; ``keeps_authority`` that the Cluster gets the source's CA.
    """

    environment: Environment = field(repr=False)
    request: RecoveryRequest
    source: ClusterSnapshot
    base: BaseBackup
    begins_from: str
    cluster: RecoveredCluster
    workloads: tuple[Workload, ...]
    present: tuple[str, ...]
    segments: int
    fetching: Fetching | None
    argocd: tuple[Manager, ...]
    background_writers: tuple[BackgroundWriter, ...]
    seals: bool
    facts: Mapping[str, str]
    warnings: tuple[str, ...]
    commits_after_target: LaterCommits | None = None
    promise: Promise | None = None
    clears: bool = False
    begun: bool = False
    broken_off: bool = False
    keeps_authority: bool = False


def decide_recovery(environment: Environment, request: RecoveryRequest, situation: Situation) -> RecoveryDecision:
    """The decision for ``request``. Raises RefusedError with every precondition that does not hold."""
    problems = list(preconditions(environment, request, situation))
    source = situation.source
    store = source.store if source else None
    found = base_of(request.target, request.snapshot, situation)
    base = found.backup
    workloads = tuple(with_counts(environment, situation.workloads.values(), situation.record))
    if problems or source is None or store is None or base is None:
        raise RefusedError(problems)
    cluster = _recovered(environment, request, situation, source, store, found)
    segments = segments_to_replay(situation.archive, base) if situation.archive else 0
    # One that is there already was begun with what it has.
    anew = situation.recovered is None or situation.recovered_gave_up
    to_the_end = request.target is None
    fetching = fetching_for(cluster.manifest, situation.archive, base, to_the_end=to_the_end) if anew else None
    return RecoveryDecision(
        environment=environment,
        request=request,
        source=source,
        base=base,
        begins_from=str(found),
        cluster=cluster,
        workloads=workloads,
        present=situation.other_clusters,
        segments=segments,
        fetching=fetching,
        argocd=situation.argocd,
        background_writers=situation.background_writers,
        commits_after_target=situation.commits_after_target,
        promise=promise_of(found.archive, base, request.target),
        seals=request.seal and not situation.primary_down,
        clears=situation.recovered_gave_up,
        begun=situation.recovered is not None and not situation.recovered_gave_up,
        keeps_authority=_keeps_authority(situation),
        broken_off=to_the_end
        and found.archive is not None
        and any(problems_of_holes(found.archive, base, None, seen_at=situation.seen_at)),
        facts=_facts(environment, request, situation, found, cluster, segments),
        warnings=tuple(_warnings(environment, request, situation, found, cluster, segments)),
    )


def _keeps_authority(situation: Situation) -> bool:
    """Whether the new Cluster has, or gets, the CA of the source that it is given none in place of."""
    there = situation.authority_copy
    begun = situation.recovered is not None and not situation.recovered_gave_up
    return there is CopiedSecret.SAME or (there in {CopiedSecret.MISSING, CopiedSecret.OLD} and not begun)


def _recovered(
    environment: Environment,
    request: RecoveryRequest,
    situation: Situation,
    source: ClusterSnapshot,
    store: ObjectStore,
    base: RecoveryBase,
) -> RecoveredCluster:
    """The declaration of an earlier run for the same Cluster, else a new one with a serverName that nobody used."""
    name = request.recovered_name
    declared = situation.record.recovery(name) if situation.record else None
    if situation.recovered is not None and declared is not None:
        return declared
    existing = situation.recovered.server_name if situation.recovered else None
    used = situation.catalogue.server_names if situation.catalogue else frozenset()
    derived = derive_recovered_cluster(
        source,
        store,
        name=name,
        server_name=existing or free_name(name, used),
        target=request.target,
        limit=environment.timeouts.recovery,
        aliases=environment.service_hosts,
        base=base.backup.backup_id if base.backup else "",
        snapshot=base.snapshot,
    )
    # Where it could not be asked there may be some.
    subscriptions = situation.outside is None or bool(situation.outside.subscriptions)
    quiet = quieted(derived.manifest, subscriptions=subscriptions, libraries=libraries_of(source.spec))
    return replace(derived, manifest=quiet)


def _facts(
    environment: Environment,
    request: RecoveryRequest,
    situation: Situation,
    base: RecoveryBase,
    cluster: RecoveredCluster,
    segments: int,
) -> dict[str, str]:
    behind = f", up to {segments} WAL segments to replay" if segments else ""
    return {
        "Environment": f"{environment.name} (context {environment.kubernetes.context})",
        **(request.drop.facts if request.drop else {}),
        "Target": _target(request.target, situation),
        **(
            {"Left out": f"{situation.commits_after_target} after the target"}
            if situation.commits_after_target is not None
            else {}
        ),
        "Source": f"{environment.namespace}/{request.source}, "
        + (f"which is gone: known by {situation.stand_in_origin}" if situation.stand_in_origin else "left as it is"),
        "Base backup": f"{base.described}{behind}",
        "Recovered": f"{cluster.namespace}/{cluster.name}, archiving to {environment.backup.url}/{cluster.server_name}",
        **({"Not carried over": ", ".join(missing)} if (missing := _not_carried_over(request, situation)) else {}),
        **({"Kept quiet": _quiet(situation)} if quiet_parameters(cluster.manifest["metadata"]["annotations"]) else {}),
        **({"Then": "the switchover, which is planned and asked for in turn"} if request.switchover else {}),
        "Limit": f"{whole_seconds_of(cluster.limit.total_seconds())} from creation to healthy",
    }


def _not_carried_over(request: RecoveryRequest, situation: Situation) -> list[str]:
    """What of the source the new Cluster does not have; nothing where it is there already."""
    if situation.source is None or situation.recovered is not None:
        return []
    return list(left_out(situation.source, name=request.recovered_name))


def _quiet(situation: Situation) -> str:
    names = situation.outside.subscriptions if situation.outside else ()
    subscriptions = f"the subscriptions {', '.join(names)}" if names else ""
    if situation.outside is None:
        subscriptions = "subscriptions, if there are any, which could not be asked"
    libraries = libraries_of(situation.source.spec) if situation.source else ()
    jobs = f"the jobs of {', '.join(libraries)}" if libraries else ""
    return f"{' and '.join(filter(None, (subscriptions, jobs)))}, until the switchover"


def _outside_warnings(request: RecoveryRequest, outside: Outside | None) -> Iterator[str]:
    if outside is None:
        return
    if outside.subscriptions and request.target is not None:
        yield (
            f"Subscriptions ({', '.join(outside.subscriptions)}): what their publishers have sent after the target "
            "is not sent again."
        )
    if outside.slots:
        yield (
            f"Logical replication slots are in no base backup: {', '.join(outside.slots)} must be recreated after "
            "the switchover, and their consumers synchronised."
        )
    if outside.prepared:
        yield (
            f"Prepared transactions come along, with their locks: {', '.join(outside.prepared)}. Commit them or roll "
            "them back in the recovered Cluster, too."
        )


def _target(target: RecoveryTarget | None, situation: Situation) -> str:
    if target is None:
        return "everything that was committed: the end of the WAL"
    if (time := time_of(target)) is None:
        return ", ".join(part for part in (str(target), target.how) if part)
    ago = whole_seconds_of((situation.seen_at - time).total_seconds())
    return f"{target} = {time.astimezone():%Y-%m-%d %H:%M:%S %Z}, {ago} ago, {target.how}"


def _warnings(
    environment: Environment,
    request: RecoveryRequest,
    situation: Situation,
    base: RecoveryBase,
    cluster: RecoveredCluster,
    segments: int,
) -> Iterator[str]:
    if situation.recovered is not None:
        yield f"Continuing with the Cluster {situation.recovered.name}, which is there already."
    yield from seal_warning(situation, request.target, seal=request.seal)
    yield from _client_warning(request, situation)
    yield from _outside_warnings(request, situation.outside)
    yield from skew_warning(situation.clock_ahead)
    if base.skipped_reason:
        yield f"{base.skipped_reason}."
    if base.archive is not None and base.backup is not None:
        live = situation.source.system_id if situation.source else ""
        yield from warnings_of_wal(base.archive, base.backup, request.target, seen_at=situation.seen_at, live=live)
    yield from not_waited_for(cluster.manifest, to_the_end=request.target is None)
    if situation.source is not None:
        yield from one_by_one(situation.source, segments, commands=environment.commands)
        yield from label_warning(situation.source.spec)
        if not _keeps_authority(situation):
            yield from certificate_warning(situation.source.spec, name=request.recovered_name)
        yield from identity_warning(
            situation.source,
            writes=True,
            namespace=environment.namespace,
            name=request.recovered_name,
            project=environment.gcp_project,
        )
    yield from argocd_warnings(situation.workloads.values(), situation.argocd)
    yield from flux_warnings(
        situation.workloads.values(),
        [situation.source],
        service=environment.service,
        service_labels=situation.service_labels,
        commands=environment.commands,
    )


def _client_warning(request: RecoveryRequest, situation: Situation) -> Iterator[str]:
    if situation.clients is None:
        yield f"Who else is connected to {request.source} could not be asked. What they commit from now on stays there."
    elif situation.clients:
        yield (
            f"Also connected to {request.source}, and not stopped: {named(situation.clients)}. What they commit after "
            + ("the WAL is sealed" if request.target is None else "the target")
            + " stays there: the switchover counts it, and fences that Cluster."
        )


def seal_warning(situation: Situation, target: RecoveryTarget | None, *, seal: bool) -> Iterator[str]:
    """That the source's WAL is not sealed, or that it is not sure that it can be."""
    if not (unsealed := _unsealed(target)):
        return
    if situation.primary_down:
        yield f"The source's primary does not run, so its WAL cannot be sealed: {unsealed}"
    elif not seal:
        yield f"The WAL is not sealed: {unsealed}"
    elif situation.database_time is None:
        yield "The source's primary did not answer: whether its WAL can be sealed is not known until it is tried."


def _unsealed(target: RecoveryTarget | None) -> str:
    """What it means that the WAL is not sealed; empty where the target needs nothing of it."""
    match target:
        case None:
            return _UNSEALED_LATEST
        case TimeTarget():
            return _UNSEALED_TIME
        case LsnTarget() | XidTarget() | NameTarget():
            return _UNSEALED_PLACE
        case ImmediateTarget():
            return ""
        case _:
            assert_never(target)
