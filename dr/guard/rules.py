"""The guard: what no preview may do, as code over what the preview says and what was seen.

Each rule looks at the whole preview and names every resource that breaks it. It is used before each ``pulumi up`` that
``dr`` does, by ``dr preview``, by the workflow, and by the policy pack of those who run ``pulumi up`` by hand. What is
not known counts against a change: nobody is moved to a database of which nobody knows that it is healthy.

``before`` and ``after`` are the inputs of a ``gcp.storage.Bucket``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dr.cnpg.cluster import cluster_behind
from dr.config.environment import Override, Rule
from dr.core.commands import ANY_RUN, CommandLines
from dr.core.target import written_time
from dr.core.text import exact_moment_of
from dr.engine.changes import Change, Changes, Op

_DAY = 86400
_FOR_EVER = float("inf")


@dataclass(frozen=True, kw_only=True)
class Shortening:
    """One way in which less is kept, for people."""

    what: str
    before: str
    after: str


def shortenings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Shortening]:
    """Every way in which ``after`` keeps less than ``before``."""
    old, new = deleted_after(before), deleted_after(after)
    if new < old:
        yield Shortening(what="the age at which objects are deleted", before=_days(old), after=_days(new))
    if (now := _seconds(after, "retentionPolicy", "retentionPeriod")) < (
        was := _seconds(before, "retentionPolicy", "retentionPeriod")
    ):
        yield Shortening(what="the retention policy", before=_of(was), after=_of(now))
    # Where it is not given, the server's own value is kept.
    if "softDeletePolicy" in after and (now := _seconds(after, "softDeletePolicy", "retentionDurationSeconds")) < (
        was := _seconds(before, "softDeletePolicy", "retentionDurationSeconds")
    ):
        yield Shortening(what="the time in which a deletion can be undone", before=_of(was), after=_of(now))
    if _versioned(before) and not _versioned(after):
        yield Shortening(what="the keeping of older versions", before="on", after="off")


def deleted_after(bucket: Mapping[str, Any]) -> float:
    """The days after which a lifecycle rule may delete a current object; without one, for ever.

    Rules for noncurrent versions only do not count. One without an age that deletes counts as at once.
    """
    ages = [_age(rule.get("condition") or {}) for rule in bucket.get("lifecycleRules") or () if _deletes(rule)]
    return min(ages, default=_FOR_EVER)


def _deletes(rule: Mapping[str, Any]) -> bool:
    return str((rule.get("action") or {}).get("type")) == "Delete"


def _age(condition: Mapping[str, Any]) -> float:
    archived = condition.get("withState") == "ARCHIVED"
    noncurrent = any(
        condition.get(key) for key in ("daysSinceNoncurrentTime", "numNewerVersions", "noncurrentTimeBefore")
    )
    if archived or noncurrent:
        return _FOR_EVER
    return float(condition.get("age") or 0)


def _seconds(bucket: Mapping[str, Any], section: str, key: str) -> float:
    return float((bucket.get(section) or {}).get(key) or 0)


def _versioned(bucket: Mapping[str, Any]) -> bool:
    return bool((bucket.get("versioning") or {}).get("enabled"))


def _days(days: float) -> str:
    return "never" if days == _FOR_EVER else f"{days:g} days"


def _of(seconds: float) -> str:
    return "none" if not seconds else f"{seconds / _DAY:g} days"


CLUSTER = "kubernetes:postgresql.cnpg.io/v1:Cluster"
BUCKET = "gcp:storage/bucket:Bucket"
_SERVICES = {"kubernetes:core/v1:Service", "kubernetes:core/v1:ServicePatch"}
_ACCESS = {
    "gcp:serviceaccount/account:Account": "the account that writes the backups",
    "gcp:serviceaccount/iAMMember:IAMMember": "who may act as the account that writes the backups",
    "gcp:serviceaccount/iAMBinding:IAMBinding": "who may act as the account that writes the backups",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "the right to the backups",
    "gcp:storage/bucketIAMBinding:BucketIAMBinding": "the right to the backups",
}
_CONTAINERS = {
    "gcp:container/cluster:Cluster": "the Kubernetes cluster",
    "kubernetes:core/v1:Namespace": "the namespace",
    "kubernetes:core/v1:PersistentVolumeClaim": "the volume",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "the kind",
}
_WRITES = {Op.CREATE, Op.UPDATE, Op.REPLACE, Op.IMPORT}


@dataclass(frozen=True, kw_only=True)
class SeenCluster:
    """A Cluster as the guard sees it. ``proven`` says that it passed verification, or has served before; ``store`` is
    where it archives to, empty when unknown; ``ours`` is not so for one of another environment in the same namespace.
    """

    name: str
    healthy: bool = False
    proven: bool = False
    store: str = ""
    server_name: str = ""
    ours: bool = True


@dataclass(frozen=True, kw_only=True)
class Reach:
    """From when until when an archive can be recovered; ``until`` None where its end is not known."""

    start: datetime
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of the environment. ``serving`` is the Cluster that the Service points to, empty when it is none;
    ``reach`` maps a serverName to its windows, and lacks those that were not looked at. ``unobserved`` says why nothing
    was seen, empty when the cluster was looked at. ``commands`` are the environment's, for the remedies.
    """

    namespace: str = ""
    serving: str = ""
    clusters: tuple[SeenCluster, ...] = ()
    reach: Mapping[str, tuple[Reach, ...]] = field(default_factory=dict)
    unobserved: str = ""
    commands: CommandLines = ANY_RUN

    def cluster(self, name: str) -> SeenCluster | None:
        """The Cluster ``name``, None when it is not there."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A rule that a change would break: which resource, what would happen, and what to do instead."""

    rule: Rule
    resource: str
    cause: str
    remedy: str

    def as_json(self) -> dict[str, str]:
        """The danger as plain values."""
        return {"rule": str(self.rule), "resource": self.resource, "cause": self.cause, "remedy": self.remedy}


def violations(changes: Changes, seen: Seen) -> tuple[Violation, ...]:
    """Every rule that ``changes`` would break, in the order of the rules."""
    found = (violation for check in _CHECKS for violation in check(changes, seen))
    return tuple(replace(violation, remedy=seen.commands.fill(violation.remedy)) for violation in found)


def not_overridden(
    found: Sequence[Violation], overrides: Sequence[Override], *, now: datetime
) -> tuple[Violation, ...]:
    """The dangers that are not overridden."""
    return tuple(violation for violation in found if override_of(violation, overrides, now=now) is None)


def override_of(violation: Violation, overrides: Sequence[Override], *, now: datetime) -> Override | None:
    """The override that lets ``danger`` pass: for its rule, for its resource, and not over yet."""
    return next((one for one in overrides if one.covers(violation.rule, violation.resource, now=now)), None)


def sources(changes: Changes) -> frozenset[str]:
    """The serverNames whose windows have to be known to judge ``changes``."""
    made = (change for change in changes.of(Op.CREATE, Op.REPLACE) if change.type == CLUSTER)
    return frozenset(name for change in made if (name := _recovers_from(change)))


def _bucket(changes: Changes, _: Seen) -> Iterator[Violation]:
    for change in changes.items:
        if change.type == BUCKET and change.goes:
            yield Violation(
                rule=Rule.BACKUP_BUCKET,
                resource=change.name,
                cause=f"the bucket {_called(change)} would be {_done(change)}, and every backup in it with it",
                remedy="put it back into the declaration; to stop managing it, take it out of the state (pulumi "
                "state delete), which leaves it where it is",
            )
        elif change.type == BUCKET and change.op in _WRITES and change.new("forceDestroy") is True:
            yield Violation(
                rule=Rule.BACKUP_BUCKET,
                resource=change.name,
                cause=f"with forceDestroy the bucket {_called(change)} could be deleted with everything in it",
                remedy="leave forceDestroy out: GCS refuses to delete a bucket that holds something",
            )


def _retention(changes: Changes, _: Seen) -> Iterator[Violation]:
    for change in changes.items:
        if change.type == BUCKET and change.op in {Op.UPDATE, Op.IMPORT} and change.before is not None:
            for found in shortenings(change.before, change.after or {}):
                yield _shortened(change, found)


def _shortened(change: Change, found: Shortening) -> Violation:
    return Violation(
        rule=Rule.BACKUP_RETENTION,
        resource=change.name,
        cause=f"{found.what} of the bucket {_called(change)} would go from {found.before} to {found.after}",
        remedy="leave it as it is: what a shorter time deletes cannot be recovered to any more",
    )


def _access(changes: Changes, _: Seen) -> Iterator[Violation]:
    for change in changes.items:
        what = _ACCESS.get(change.type)
        if what and change.goes:
            yield Violation(
                rule=Rule.BACKUP_ACCESS,
                resource=change.name,
                cause=f"{what}, {_called(change)}, would be {_done(change)}: archiving ends, and so does recovery",
                remedy="put it back into the declaration",
            )
        elif what and change.op in _WRITES and change.new("disabled") is True:
            yield Violation(
                rule=Rule.BACKUP_ACCESS,
                resource=change.name,
                cause=f"{what}, {_called(change)}, would be disabled: archiving ends, and so does recovery",
                remedy="leave it enabled",
            )


def _serving(changes: Changes, seen: Seen) -> Iterator[Violation]:
    for change in _clusters_that_go(changes):
        if seen.unobserved or _object(change) == seen.serving:
            why = (
                f"whether it takes the traffic is not known ({seen.unobserved})"
                if seen.unobserved
                else "it takes the traffic"
            )
            yield Violation(
                rule=Rule.CLUSTER_SERVING,
                resource=change.name,
                cause=f"the Cluster {_object(change)} would be {_done(change)}, and {why}",
                remedy="move the traffic away first: {dr switchover}, or {dr rollback}",
            )
    for change in changes.items:
        if change.type in _SERVICES and change.op is Op.DELETE and change.old("spec.externalName"):
            yield Violation(
                rule=Rule.CLUSTER_SERVING,
                resource=change.name,
                cause=f"the Service {_object(change)} would lose where it points to: the workloads reach no database",
                remedy="put it back into the declaration: deleting a patch does not bring back what it replaced",
            )


def _last(changes: Changes, seen: Seen) -> Iterator[Violation]:
    going = {_object(change): change for change in _clusters_that_go(changes)}
    if not going or any(cluster.ours and cluster.healthy and cluster.name not in going for cluster in seen.clusters):
        return
    for name, change in going.items():
        yield Violation(
            rule=Rule.CLUSTER_LAST,
            resource=change.name,
            cause=f"the Cluster {name} would be {_done(change)}, and no other healthy one holds data",
            remedy="have another healthy Cluster first: {dr latest}",
        )


def _house(changes: Changes, seen: Seen) -> Iterator[Violation]:
    for change in changes.items:
        what = _CONTAINERS.get(change.type)
        if what and change.goes and (seen.clusters or seen.unobserved):
            holds = ", ".join(cluster.name for cluster in seen.clusters) or f"not known ({seen.unobserved})"
            yield Violation(
                rule=Rule.CLUSTER_PLATFORM,
                resource=change.name,
                cause=f"{what} {_object(change)} would be {_done(change)}; the Clusters with data: {holds}",
                remedy="put it back into the declaration",
            )


def _traffic(changes: Changes, seen: Seen) -> Iterator[Violation]:
    for change in changes.items:
        host = change.new("spec.externalName") if change.type in _SERVICES and change.op in _WRITES else None
        if not host or host == change.old("spec.externalName"):
            continue
        name = cluster_behind(str(host), seen.namespace or str(change.new("metadata.namespace") or ""))
        if name and name == seen.serving:
            continue
        cluster = seen.cluster(name)
        if fault := _unproven(str(host), name, cluster, seen):
            yield Violation(
                rule=Rule.TRAFFIC_UNPROVEN,
                resource=change.name,
                cause=f"the Service {_object(change)} would point to {host}, and {fault}",
                remedy="recover and verify it first (pitr, or latest), then {dr switchover}",
            )


def _unproven(host: str, name: str, cluster: SeenCluster | None, seen: Seen) -> str:
    if seen.unobserved:
        return f"nothing is known of it ({seen.unobserved})"
    if not name:
        return f"{host} is not a Cluster here"
    if cluster is None:
        return f"there is no Cluster {name}"
    if not cluster.healthy:
        return f"{name} is not healthy"
    return "" if cluster.proven else f"{name} has not passed its verification"


def _writers(changes: Changes, seen: Seen) -> Iterator[Violation]:
    declared = {
        _object(change): change
        for change in changes.items
        if change.type == CLUSTER and change.after is not None and change.op not in {Op.DELETE, Op.FORGET}
    }
    gone = {_object(change) for change in changes.of(Op.DELETE)}
    others = [cluster for cluster in seen.clusters if cluster.name not in declared and cluster.name not in gone]
    writers = [
        *((name, *archive_of(change.after or {}, name), change) for name, change in declared.items()),
        *((cluster.name, cluster.store, cluster.server_name, None) for cluster in others if cluster.server_name),
    ]
    for index, (name, store, server_name, change) in enumerate(writers):
        for other, its_store, its_server_name, _ in writers[index + 1 :]:
            same = server_name == its_server_name and (not store or not its_store or store == its_store)
            if change is not None and server_name and same:
                yield Violation(
                    rule=Rule.TWO_WRITERS,
                    resource=change.name,
                    cause=f"{name} and {other} would both archive to {store or its_store}/{server_name}",
                    remedy="give each a serverName of its own: two writers make one archive useless for both",
                )


def archive_of(manifest: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Where the Cluster of ``manifest`` archives to, and the serverName; both empty when it archives to nothing."""
    spec = manifest.get("spec") or {}
    if store := (spec.get("backup") or {}).get("barmanObjectStore"):
        return str(store.get("destinationPath") or "").rstrip("/"), str(store.get("serverName") or name)
    for plugin in spec.get("plugins") or ():
        if plugin.get("isWALArchiver"):
            return "", str((plugin.get("parameters") or {}).get("serverName") or name)
    return "", ""


def _target(changes: Changes, seen: Seen) -> Iterator[Violation]:
    for change in changes.items:
        if change.type != CLUSTER or change.op not in {Op.CREATE, Op.REPLACE}:
            continue
        target = change.new("spec.bootstrap.recovery.recoveryTarget.targetTime")
        time, server_name = written_time(str(target)) if target else None, _recovers_from(change)
        if target and (fault := _outside(time, seen.reach.get(server_name), seen.unobserved)):
            yield Violation(
                rule=Rule.TARGET_OUTSIDE,
                resource=change.name,
                cause=f"{_object(change)} would be recovered to {target} from {server_name}, and {fault}",
                remedy="choose a target inside the window: {dr window}",
            )


def _recovers_from(change: Change) -> str:
    source = change.new("spec.bootstrap.recovery.source")
    for entry in change.new("spec.externalClusters") or ():
        if entry.get("name") == source:
            plugin = (entry.get("plugin") or {}).get("parameters") or {}
            store = entry.get("barmanObjectStore") or {}
            return str(store.get("serverName") or plugin.get("serverName") or source)
    return str(source or "")


def _outside(time: datetime | None, reach: tuple[Reach, ...] | None, unobserved: str) -> str:
    if time is None or time.tzinfo is None:
        return "that is not a time with a zone"
    if reach is None:
        return f"its window is not known{f' ({unobserved})' if unobserved else ''}"
    if not reach:
        return "nothing can be recovered from there"
    if any(one.start <= time and (one.until is None or time <= one.until) for one in reach):
        return ""
    told = ", ".join(
        f"{exact_moment_of(one.start)} to {exact_moment_of(one.until) if one.until else 'its end'}" for one in reach
    )
    return f"the window is {told}"


def _clusters_that_go(changes: Changes) -> list[Change]:
    return [change for change in changes.items if change.type == CLUSTER and change.goes]


def _object(change: Change) -> str:
    """The name of the object itself, else the one it is declared by."""
    return str(
        change.old("metadata.name") or change.new("metadata.name") or change.id.rsplit("/", 1)[-1] or change.name
    )


def _called(change: Change) -> str:
    for key in ("name", "accountId", "member"):
        if found := change.old(key) or change.new(key):
            return str(found)
    return change.name


def _done(change: Change) -> str:
    return "replaced" if change.op is Op.REPLACE else "deleted"


_CHECKS: tuple[Callable[[Changes, Seen], Iterator[Violation]], ...] = (
    _bucket,
    _retention,
    _access,
    _serving,
    _last,
    _house,
    _traffic,
    _writers,
    _target,
)
