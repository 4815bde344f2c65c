"""The guard at work: what it has to know of an environment is looked at, and a preview is judged by it."""

from collections.abc import Callable

from dr.archive.reader import find_archive
from dr.archive.window import windows
from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, cluster_behind, read_write_host
from dr.cnpg.clusters import list_clusters, with_object_store
from dr.config.environment import MEANINGS, Environment
from dr.core.errors import AccessError, Problem, RefusedError
from dr.engine.changes import Changes
from dr.guard.rules import Reach, Seen, SeenCluster, Violation, not_overridden, override_of, sources, violations
from dr.kube import workloads
from dr.run.record import Record
from dr.run.session import Session


def observe(session: Session, changes: Changes) -> Seen:
    """What the guard has to know to judge ``changes``. A cluster or a bucket that does not answer makes it blind."""
    environment, api = session.environment, session.api
    try:
        record = session.records.read()
        clusters = [with_object_store(api, one) for one in list_clusters(api, environment.namespace)]
        host = workloads.external_name(api, environment.namespace, environment.service) or ""
        reach = {name: _reach(environment, name) for name in sources(changes)}
    except AccessError as error:
        return Seen(namespace=environment.namespace, unobserved=error.cause)
    serving = cluster_behind(host, environment.namespace)
    ours = {serving, environment.source_cluster, environment.recovered_cluster}
    if record is not None:
        ours |= {record.canonical, *(recovery.cluster.name for recovery in record.recoveries)}
    return Seen(
        namespace=environment.namespace,
        serving=serving,
        clusters=tuple(_seen(one, record, ours=one.name in ours) for one in clusters),
        reach=reach,
        commands=environment.commands,
    )


def judge(session: Session, on_override: Callable[[str], None]) -> Callable[[Changes], None]:
    """What judges a preview before it is carried out: raises RefusedError ``guard-refused`` with every rule that it
    would break. An override that counts is passed to ``on_override``, so that it is written down.
    """

    def check(changes: Changes) -> None:
        found = violations(changes, observe(session, changes))
        overrides, now = session.overrides, session.clock()
        if left := not_overridden(found, overrides, now=now):
            raise RefusedError([refusal(violation) for violation in left])
        for violation in found:
            if used := override_of(violation, overrides, now=now):
                on_override(f"{violation.rule} of {violation.resource} overridden: {used.reason}")

    return check


def refusal(violation: Violation) -> Problem:
    """A danger as a precondition that does not hold."""
    return Problem(
        code="guard-refused",
        cause=f"{violation.cause} (rule {violation.rule}: {MEANINGS[violation.rule]})",
        remedy=f"{violation.remedy}; if you must: --override {violation.rule}={violation.resource}",
    )


def _seen(cluster: ClusterSnapshot, record: Record | None, *, ours: bool) -> SeenCluster:
    verified = record is not None and cluster.name in record.verified
    served = record is not None and read_write_host(cluster) in record.came_from
    return SeenCluster(
        name=cluster.name,
        healthy=cluster.healthy,
        # One that this tool did not recover was there before, and served.
        proven=verified or served or TARGET_ANNOTATION not in cluster.annotations,
        store=cluster.store.url if cluster.store else "",
        server_name=cluster.server_name or "",
        ours=ours,
    )


def _reach(environment: Environment, server_name: str) -> tuple[Reach, ...]:
    archive, _ = find_archive(environment.backup, server_name)
    if archive is None:
        return ()
    return tuple(
        Reach(start=window.start, until=window.end.last_commit or window.end.archived) for window in windows(archive)
    )
