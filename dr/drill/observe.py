"""Looking at what a drill decides on: what a recovery needs, and not who else is at work in the namespaces.

It asks for less than a recovery does, so that a CronJob's account needs no more than it uses.
"""

from collections.abc import Callable

from dr.archive.reader import find_archive
from dr.archive.wal_reader import archive_for
from dr.cnpg import volumes
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind
from dr.cnpg.cluster_copies import find_copy
from dr.cnpg.clusters import find_cluster, list_clusters, plugin_fault, with_object_store
from dr.cnpg.recovered import named_by
from dr.cnpg.scratches import list_scratches
from dr.config.names import DRILL, scratch_name
from dr.core.errors import AccessError
from dr.core.history import Holder, LeaseSeen
from dr.core.target import LaterCommits, RecoveryTarget, time_of
from dr.drill.plan import DrillRequest, DrillSituation, random_target
from dr.engine.processes import known_dead
from dr.kube import workloads
from dr.postgres.commits import commits_after
from dr.recovery.observe import ask_clock
from dr.recovery.situation import Situation
from dr.run.record import source_of
from dr.run.session import Session


def request_for(
    session: Session,
    *,
    target: RecoveryTarget | None,
    source: str | None,
    random: bool,
    quick: bool,
    draw: Callable[[int], int],
) -> DrillRequest:
    """What was asked for, with the source that the lineage gives where none is named, and the lot drawn.

    Raises AccessError.
    """
    environment, record = session.environment, session.records.read()
    serving = cluster_behind(_external_name(session) or "", environment.namespace)
    found = source or source_of(environment, serving=serving, record=record)
    if random:
        seen = find_cluster(session.api, environment.namespace, found)
        target = random_target(find_archive(environment.backup, _server_name(seen, found))[0], draw)
    return DrillRequest(
        target=target, source=found, source_given=source is not None, random=random and target is not None, quick=quick
    )


def observe_drill(session: Session, request: DrillRequest) -> DrillSituation:
    """The situation now. Looks only. Raises AccessError when the cluster or the bucket cannot be reached."""
    environment, api = session.environment, session.api
    namespace = environment.namespace
    source = find_cluster(api, namespace, request.source)
    stand_in = None if source else find_copy(environment.backup, request.source)
    source = source or (with_object_store(api, stand_in.cluster) if stand_in else None)
    archive, catalogue = archive_for(environment.backup, _server_name(source, request.source), request.target)
    classes = {name for name in (source.storage_classes if source else ()) if name}
    leads_to = _external_name(session)
    left = list_scratches(api, namespace, DRILL, environment=environment.name)
    serving = cluster_behind(leads_to or "", namespace)
    orphans = tuple(scratch.name for scratch in left if scratch.name != serving)
    clusters = tuple(sorted(cluster.name for cluster in list_clusters(api, namespace)))
    return DrillSituation(
        recovery=Situation(
            seen_at=session.clock(),
            source=source,
            recovered=None,
            other_clusters=clusters,
            external_name=leads_to,
            workloads={},
            recovered_gave_up=False,
            app_secret_exists=True,
            missing_storage_classes=tuple(
                sorted(name for name in classes if not volumes.storage_class_exists(api, name))
            ),
            volume_refusal=volumes.volume_refusal(api, source) if source else "",
            plugin_fault=plugin_fault(api) if source and source.plugin else "",
            commits_after_target=_later(session, source, request),
            missing_secrets=_missing_secrets(session, source),
            stand_in_origin=stand_in.origin if stand_in else "",
            database_time=ask_clock(session, source).moment,
            catalogue=catalogue,
            archive=archive,
            record=session.records.read(),
        ),
        name=scratch_name(request.source, frozenset(clusters) - frozenset(orphans), DRILL),
        orphans=orphans,
        at_work=at_work(session),
    )


def at_work(session: Session) -> str:
    """Who has an operation under way on the environment, by its lease; empty when nobody has. Raises AccessError.

    A lease that has expired by our clock is watched for as long as it lasts: its holder's clock may be another one.
    """
    seen = others_lease(session)
    if seen is None or not seen.expired(session.clock()):
        return seen.holder if seen else ""
    session.stop.wait(seen.duration.total_seconds())
    again = others_lease(session)
    return again.holder if again and renewed_since(again, seen) else ""


def others_lease(session: Session) -> LeaseSeen | None:
    """The environment's lease, where somebody holds it who is not known to be dead. Raises AccessError."""
    seen = session.lease.read()
    held = seen is not None and seen.holder and not known_dead(Holder.parse(seen.holder))
    return seen if held else None


def renewed_since(seen: LeaseSeen, before: LeaseSeen | None) -> bool:
    """Whether the lease was renewed since it was seen as ``before``: its holder is alive, whatever the clocks say."""
    return before is not None and seen.renewed != before.renewed


def _server_name(source: ClusterSnapshot | None, name: str) -> str:
    return (source.server_name if source else None) or name


def _external_name(session: Session) -> str | None:
    environment = session.environment
    return workloads.external_name(session.api, environment.namespace, environment.service)


def _later(session: Session, source: ClusterSnapshot | None, request: DrillRequest) -> LaterCommits | None:
    since = time_of(request.target)
    if source is None or source.primary is None or since is None:
        return None
    return commits_after(session.api, namespace=source.namespace, pod=source.primary, since=since)


def _missing_secrets(session: Session, source: ClusterSnapshot | None) -> tuple[str, ...]:
    """Those that the source names; none where this user may not look: CloudNativePG will say so."""
    if source is None:
        return ()
    named = named_by(source.spec, source.store.definition if source.store else {})
    try:
        return tuple(name for name in named if workloads.read_secret(session.api, source.namespace, name) is None)
    except AccessError:
        return ()
