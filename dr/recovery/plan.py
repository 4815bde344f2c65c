"""A recovery, decided: from a request and a situation to a plan. Pure; the doing is in operations."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from dr.archive.contents import BaseBackup
from dr.archive.promise import Promise, promise_of
from dr.archive.wal_needed import warnings_of_wal
from dr.archive.window import problems_of_holes
from dr.cnpg.cluster import ClusterSnapshot, ObjectStore
from dr.cnpg.fetch_ahead import Fetching, config_map_name, fetching_for, not_waited_for, one_by_one, segments_to_replay
from dr.cnpg.recovered import (
    RecoveredCluster,
    app_secret_name,
    derive_recovered_cluster,
    identity_warning,
    label_warning,
)
from dr.config.environment import Environment
from dr.config.names import free_name
from dr.core.errors import RefusedError
from dr.core.plan import Plan, Step
from dr.core.target import LaterCommits, RecoveryTarget
from dr.core.target_options import skew_warning
from dr.gitops.argocd import Manager, argocd_warnings, pause_step
from dr.kube.objects import Workload
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import RecoveryBase, RecoveryRequest, Situation, base_of
from dr.traffic.writer_steps import SelfStarter, hold_step, scale_commands, stop_step, with_counts

_UNSEALED_TIME = "if no commit after the target was archived, the recovery will fail and say so."
_UNSEALED_PLACE = "if the target itself was not archived, the recovery will fail and say so."
_UNSEALED_LATEST = "what was committed but not archived yet will be missing from the recovered cluster."


@dataclass(frozen=True, kw_only=True)
class RecoveryDecision:
    """All that was decided; what the steps need to act, so that they decide nothing themselves.

    ``present`` are the names of all Clusters that were there; ``segments`` is how many archived WAL segments lie behind
    the base backup; ``fetching`` says how they are fetched, None where barman is left alone; ``later`` are the
    transactions that a target leaves out, None where they could not be counted. ``promise`` is where the recovery has
    to end as far as the archive says, None where it does not; ``begun`` says that the Cluster is there already, so that
    what is sealed now may come too late for it; ``broken_off`` that it ends at a hole in the archive, which was agreed
    to, so that it does not come to what is sealed.
    """

    request: RecoveryRequest
    source: ClusterSnapshot
    base: BaseBackup
    cluster: RecoveredCluster
    workloads: tuple[Workload, ...]
    present: tuple[str, ...]
    segments: int
    fetching: Fetching | None
    argocd: tuple[Manager, ...]
    self_starters: tuple[SelfStarter, ...]
    plan: Plan
    later: LaterCommits | None = None
    promise: Promise | None = None
    begun: bool = False
    broken_off: bool = False


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
        request=request,
        source=source,
        base=base,
        cluster=cluster,
        workloads=workloads,
        present=situation.other_clusters,
        segments=segments,
        fetching=fetching,
        argocd=situation.argocd,
        self_starters=situation.self_starters,
        later=situation.later,
        promise=promise_of(found.archive, base, request.target),
        begun=situation.recovered is not None and not situation.recovered_gave_up,
        broken_off=to_the_end
        and found.archive is not None
        and any(problems_of_holes(found.archive, base, None, seen_at=situation.seen_at)),
        plan=Plan(
            operation=request.operation,
            environment=environment.name,
            facts=_facts(environment, request, situation, found, cluster, segments),
            warnings=tuple(_warnings(environment, request, situation, found, cluster, segments)),
            steps=tuple(_steps(environment, request, situation, source, found, cluster, workloads, fetching=fetching)),
        ),
    )


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
    return derive_recovered_cluster(
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
        **({"Left out": f"{situation.later} after the target"} if situation.later is not None else {}),
        "Source": f"{environment.namespace}/{request.source}, "
        + (f"which is gone: known by {situation.stands_in}" if situation.stands_in else "left as it is"),
        "Base backup": f"{base.described}{behind}",
        "Recovered": f"{cluster.namespace}/{cluster.name}, archiving to {environment.backup.url}/{cluster.server_name}",
        **({"Then": "the switchover, which is planned and asked for in turn"} if request.switchover else {}),
        "Limit": f"{_duration(cluster.limit.total_seconds())} from creation to healthy",
    }


def _target(target: RecoveryTarget | None, situation: Situation) -> str:
    if target is None:
        return "everything that was committed: the end of the WAL"
    if target.time is None:
        return ", ".join(part for part in (str(target), target.how) if part)
    ago = _duration((situation.seen_at - target.time).total_seconds())
    return f"{target} = {target.time.astimezone():%Y-%m-%d %H:%M:%S %Z}, {ago} ago, {target.how}"


def _warnings(
    environment: Environment,
    request: RecoveryRequest,
    situation: Situation,
    base: RecoveryBase,
    cluster: RecoveredCluster,
    segments: int,
) -> Iterator[str]:
    if situation.recovered is not None:
        yield f"Going on with the Cluster {situation.recovered.name}, which is there already."
    yield from seal_warning(situation, request.target, seal=request.seal)
    yield from skew_warning(situation.clock_ahead)
    if base.passed_over:
        yield f"{base.passed_over}."
    if base.archive is not None and base.backup is not None:
        live = situation.source.system_id if situation.source else ""
        yield from warnings_of_wal(base.archive, base.backup, request.target, seen_at=situation.seen_at, live=live)
    yield from not_waited_for(cluster.manifest, to_the_end=request.target is None)
    if situation.source is not None:
        yield from one_by_one(situation.source, segments, context=environment.kubernetes.context)
        yield from label_warning(situation.source.spec)
        yield from identity_warning(
            situation.source.spec,
            namespace=environment.namespace,
            name=request.recovered_name,
            project=environment.gcp_project,
        )
    yield from argocd_warnings(situation.workloads.values(), situation.argocd)


def seal_warning(situation: Situation, target: RecoveryTarget | None, *, seal: bool) -> Iterator[str]:
    """That the source's WAL is not sealed, or that it is not sure that it can be."""
    if target is not None and target.immediate:
        return
    if situation.primary_down:
        yield f"The source's primary does not run, so its WAL cannot be sealed: {_unsealed(target)}"
    elif not seal:
        yield f"The WAL is not sealed: {_unsealed(target)}"
    elif situation.database_time is None:
        yield "The source's primary did not answer: whether its WAL can be sealed is not known until it is tried."


def _unsealed(target: RecoveryTarget | None) -> str:
    if target is None:
        return _UNSEALED_LATEST
    return _UNSEALED_PLACE if target.time is None else _UNSEALED_TIME


def _steps(
    environment: Environment,
    request: RecoveryRequest,
    situation: Situation,
    source: ClusterSnapshot,
    base: RecoveryBase,
    cluster: RecoveredCluster,
    workloads: tuple[Workload, ...],
    *,
    fetching: Fetching | None,
) -> Iterator[Step]:
    kubectl = f"kubectl --context {shlex.quote(environment.kubernetes.context)}"
    program = config_map_name(cluster.name)
    yield Step(
        key="remember",
        done_when="the record is written",
        title="Remember",
        detail=f"replica counts and this recovery, in ConfigMap {environment.namespace}/postgres-dr-{environment.name}",
    )
    yield from pause_step(situation.argocd)
    yield from hold_step(situation.self_starters)
    yield stop_step(environment, workloads, undo=scale_commands(environment, workloads))
    if request.seal and not situation.primary_down:
        yield Step(
            key="seal-wal",
            done_when="PostgreSQL reports the segment as archived",
            title="Seal the WAL",
            detail=f"one commit on {source.primary}, a new WAL segment, and the old one in the archive",
        )
    yield Step(
        key="credentials",
        done_when="the Secret is there",
        title="Keep the password",
        detail=f"copy Secret {source.app_secret} to {app_secret_name(cluster.name)} for the recovered cluster",
        undo=(f"{kubectl} delete secret {app_secret_name(cluster.name)} -n {cluster.namespace}",),
    )
    if situation.recovered_gave_up:
        yield Step(
            key="clear",
            done_when="the Cluster and its volumes are gone",
            title="Clear away",
            detail=f"delete the Cluster {cluster.name}, whose recovery failed and which never ran, and its volume",
        )
    yield Step(
        key="recover",
        done_when="CloudNativePG calls the Cluster healthy",
        title="Recover",
        detail=f"Pulumi creates the Cluster {cluster.name} from {base} and WAL up to "
        + ("the target" if request.target else "its end")
        + (", which is fetched ahead" if fetching and fetching.ahead else ""),
        undo=(
            f"{kubectl} delete cluster {cluster.name} -n {cluster.namespace}",
            *([f"{kubectl} delete configmap {program} -n {cluster.namespace} --ignore-not-found"] if fetching else ()),
        ),
    )
    yield Step(
        key="verify",
        done_when="every question was answered as it should be",
        title="Verify",
        detail=", ".join(
            [
                *(query.name for query in environment.verification),
                *([str(request.expects)] if request.expects else []),
                "out of recovery",
                "stopped at the target" if request.target else "the end of the WAL reached",
                "archiving",
            ]
        ),
    )
    yield Step(key="settle", done_when="Pulumi has ended", title="Settle", detail="Pulumi writes its state")


def _duration(seconds: float) -> str:
    """A duration for people, in its two largest units."""
    whole = max(0, int(seconds))
    for unit, size, smaller, smaller_size in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"
