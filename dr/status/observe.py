"""Looking at where an environment stands. Changes nothing, and needs no engine."""

from dr.cnpg.cluster import cluster_behind
from dr.cnpg.clusters import list_clusters
from dr.core.errors import Problem, RefusedError
from dr.core.history import Holder, OperationEntry
from dr.engine.processes import known_dead
from dr.kube import workloads
from dr.rebuild.store import RebuildRecords
from dr.run.session import Session
from dr.status.advice import Status


def look(session: Session) -> Status:
    """Where the environment stands now. Raises AccessError."""
    environment, api = session.environment, session.api
    writers = environment.workloads
    lease, record = session.lease.read(), session.records.read()
    external_name = workloads.external_name(api, environment.namespace, environment.service)
    recovered = {recovery.cluster.name for recovery in record.recoveries} if record else set()
    # The namespace may hold the Clusters of other environments too.
    ours = {environment.source_cluster, environment.recovered_cluster, *recovered}
    ours.add(cluster_behind(external_name or "", environment.namespace))
    return Status(
        environment=environment,
        clusters=tuple(cluster for cluster in list_clusters(api, environment.namespace) if cluster.name in ours),
        external_name=external_name,
        workloads={name: workloads.read_deployment(api, writers.namespace, name) for name in writers.deployments},
        record=record,
        lease=lease,
        holder_dead=lease is not None and known_dead(Holder.parse(lease.holder)),
    )


def rebuild_to_resume(records: RebuildRecords) -> OperationEntry | None:
    """The full rebuild that was not done, which comes before everything inside it; None without one.

    It is remembered outside of the cluster, and asked for first: there may be no cluster to ask. Raises AccessError.
    """
    record = records.read()
    return record.unfinished if record else None


def to_resume(session: Session) -> OperationEntry:
    """The operation that was not done. Raises RefusedError ``nothing-to-resume``, AccessError."""
    record = session.records.read()
    if record is None or record.unfinished is None:
        raise RefusedError(
            [
                Problem(
                    code="nothing-to-resume",
                    cause=f"no operation on {session.environment.name} is unfinished",
                    remedy=f"{session.environment.commands.dr('status')} shows where things stand",
                )
            ]
        )
    return record.unfinished
