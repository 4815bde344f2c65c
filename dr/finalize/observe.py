"""Looking at everything that a finalize decides on."""

from collections.abc import Collection, Mapping
from pathlib import Path

from dr.archive.reader import find_archive
from dr.archive.window import unusable
from dr.cnpg.cluster import ClusterSnapshot, cluster_behind, read_write_host
from dr.cnpg.clusters import find_cluster
from dr.cnpg.fencing import is_silent, none_serves
from dr.cnpg.left_behind import left_behind
from dr.cnpg.recovered import recovered_from
from dr.core.target import LaterCommits
from dr.finalize import dependants_api
from dr.finalize.dependants_api import dry_run_differences
from dr.finalize.plan import former_names
from dr.finalize.preconditions import FinalizeRequest, FinalizeSituation, GitSeen
from dr.gitops import argocd_api
from dr.gitops.argocd import Manager
from dr.gitops.argocd_pause import managers
from dr.gitops.checkout import Checkout, revision_of, source_of
from dr.gitops.manifests import Canonical, Rewriting, rewrite
from dr.kube import workloads
from dr.postgres.clients import named
from dr.run.record import Record
from dr.run.session import Session
from dr.traffic.clients import other_clients
from dr.traffic.writers import list_background_writers

_COMPARED_KINDS = ("Cluster", "Service")
"""What is changed where it stands; everything else that the manifests have is recreated from them."""


def observe_finalization(session: Session, request: FinalizeRequest) -> FinalizeSituation:
    """What there is now; Argo CD compares with Git again. Raises RequestError or AccessError."""
    environment, api = session.environment, session.api
    namespace, writers = environment.namespace, environment.workloads
    record = record_of(session)
    external_name = workloads.external_name(api, namespace, environment.service)
    pointed_to = cluster_behind(external_name or "", namespace)
    serving = find_cluster(api, namespace, pointed_to) if pointed_to else None
    names = former_names(environment, record, pointed_to) if serving else ()
    former = still_there(session, names)
    managing = _compared(session, managers(session, clusters=[*names, pointed_to]))
    kinds = dependants_api.read_kinds(api)
    return FinalizeSituation(
        external_name=external_name,
        serving=serving,
        former=former,
        writable=writable(session, former, record),
        dependants=dependants_api.list_dependants(api, namespace, {*names, pointed_to}, kinds),
        plurals=kinds.plurals,
        unclear=dependants_api.list_unclear(api, namespace, names, kinds),
        secret_users=dependants_api.secret_users(api, namespace, former, kinds.plurals),
        own_backup=own_backup(session, serving) if serving else "",
        workloads={name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments},
        still_held=_still_held(session, record, serving=pointed_to),
        record=record,
        argocd=managing,
        out_of_sync=tuple(sorted({resource for manager in managing for resource in manager.out_of_sync})),
        git=_git(session, request, _canonical(session, serving, names, former), managing) if serving else None,
        left_behind=_left_behind(session, former, serving, record) if serving else {},
    )


def record_of(session: Session) -> Record:
    """The environment's record, an empty one where there is none."""
    return session.records.read() or Record(updated=session.clock(), updated_by=session.holder.operator)


def still_there(session: Session, names: Collection[str]) -> tuple[ClusterSnapshot, ...]:
    """Those of the Clusters ``names`` that are there."""
    found = (find_cluster(session.api, session.environment.namespace, name) for name in names)
    return tuple(cluster for cluster in found if cluster)


def writable(session: Session, former: Collection[ClusterSnapshot], record: Record) -> Mapping[str, str]:
    """Those of the Clusters ``former`` that may have what nobody looked at, each with the reason, for people: all that
    are not seen silent, but for a recovered one to which the traffic never was and no client is connected.
    """
    environment = session.environment
    left = {cluster_behind(host, environment.namespace) for host in record.came_from}
    served = {record.canonical or environment.source_cluster, *left}
    found = [cluster for cluster in former if not is_silent(session.api, cluster)]
    reasons = {
        cluster.name: "can take writes" if cluster.name in served else _clients_of(session, cluster)
        for cluster in found
    }
    return {name: reason for name, reason in reasons.items() if reason}


def _clients_of(session: Session, cluster: ClusterSnapshot) -> str:
    """Who may write to it, for people; empty where nobody is connected, or none of its instances serves."""
    clients = other_clients(session, cluster)
    if clients is None and not none_serves(session.api, cluster):
        return "may take writes: who is connected to it could not be asked"
    return f"can take writes: {named(clients)} connected" if clients else ""


def _left_behind(
    session: Session, former: Collection[ClusterSnapshot], serving: ClusterSnapshot, record: Record
) -> dict[str, LaterCommits | None]:
    present = [*former, serving]
    return {
        cluster.name: left_behind(session.api, cluster, serving, present, first=record.verified.get(cluster.name))
        for cluster in former
    }


def _still_held(session: Session, record: Record, *, serving: str) -> tuple[str, ...]:
    """What this tool holds and nobody would release: all but the Poolers of the Clusters that go."""
    if not record.held:
        return ()
    found = list_background_writers(session.api, session.environment, {serving} if serving else ())
    return tuple(str(one) for one in found if one.held and str(one) in record.held)


def _compared(session: Session, found: Collection[Manager]) -> tuple[Manager, ...]:
    """The managers as they are after a new comparison with Git: what was merged a moment ago has to be seen."""
    now = (argocd_api.compare(session.api, manager, stop=session.stop) for manager in found)
    return tuple(manager for manager in now if manager)


def own_backup(session: Session, serving: ClusterSnapshot) -> str:
    """The newest base backup in the Cluster's own archive that can be recovered from, by what the bucket holds."""
    if serving.server_name is None:
        return ""
    archive, _ = find_archive(session.environment.backup, serving.server_name)
    usable = [backup for backup in archive.backups if backup not in unusable(archive)] if archive else []
    return usable[-1].backup_id if usable else ""


def _git(
    session: Session,
    request: FinalizeRequest,
    canonical: Canonical,
    managing: Collection[Manager],
) -> GitSeen | None:
    place = session.environment.git
    if place is None or not request.checkout:
        return None
    checkout = Checkout(Path(request.checkout).expanduser())
    source = source_of(place, managing)
    branch = request.branch or f"postgres-dr/{session.environment.name}-{canonical.name}"
    repository = (source.repository if source else place.repository) or ""
    if repository and not checkout.is_of(repository):
        nothing = Rewriting(files=(), changes=(), documents=(), mentions=())
        return GitSeen(root=str(checkout.root), revision="", branch=branch, rewriting=nothing, stranger=repository)
    revision = revision_of(checkout, source)
    rewriting = rewrite(checkout.read(place.manifests, revision), canonical)
    compared = [document for document in rewriting.documents if document["kind"] in _COMPARED_KINDS]
    seen = [
        dry_run_differences(session.api, document, namespace=session.environment.namespace) for document in compared
    ]
    return GitSeen(
        root=str(checkout.root),
        revision=revision,
        branch=branch,
        rewriting=rewriting,
        dirty=checkout.dirty(place.manifests),
        differences=tuple(difference for others, _ in seen for difference in others),
        later=tuple(difference for _, expected in seen for difference in expected),
    )


def _canonical(
    session: Session, serving: ClusterSnapshot, formers: Collection[str], former: Collection[ClusterSnapshot]
) -> Canonical:
    certificates = serving.spec.get("certificates") or {}
    external, origin = serving.spec.get("externalClusters") or (), recovered_from(serving.spec)
    return Canonical(
        name=serving.name,
        namespace=serving.namespace,
        server_name=serving.server_name or serving.name,
        host=read_write_host(serving),
        service=session.environment.service,
        alt_dns_names=tuple(certificates.get("serverAltDNSNames") or ()),
        former=tuple(formers),
        served=tuple(source for cluster in former if (source := recovered_from(cluster.spec))),
        origin=next((one for one in external if one["name"] == origin), {}),
    )
