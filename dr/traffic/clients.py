"""Who else is connected to a Cluster: everybody whom no step stops.

The Deployments that are configured are a list in a file. The database says who writes.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.primary import SERVER, psql_of
from dr.core.errors import AccessError
from dr.kube.objects import Workload
from dr.postgres.clients import CLIENTS, Client, read_clients
from dr.run.session import Session
from dr.traffic.writer_model import JOB, POOLER, BackgroundWriter
from dr.traffic.writers import JOB_LABEL

_LIMIT_SECONDS = 10


def other_clients(
    session: Session,
    cluster: ClusterSnapshot,
    *,
    workloads: Iterable[Workload | None] = (),
    held: Collection[BackgroundWriter] = (),
) -> tuple[Client, ...] | None:
    """Who is connected to the primary of ``cluster`` and is none of the pods of ``workloads``, nor of the Jobs among
    ``held`` and the Poolers that are yet to be paused; None where that could not be asked. PgBouncer pauses a session
    at its end only (its manual, "PAUSE"): who comes through a Pooler that is paused stays.
    """
    try:
        (answer,) = psql_of(session.api, cluster, SERVER).ask(CLIENTS, limit=_LIMIT_SECONDS)
        clients = read_clients(answer)
        if not any(client.address for client in clients):
            return clients
        ours, pods = _addresses(session, cluster, workloads, held)
    except (AccessError, ValueError):
        return None
    return tuple(replace(client, pod=pods.get(client.address, "")) for client in clients if client.address not in ours)


def _addresses(
    session: Session, cluster: ClusterSnapshot, workloads: Iterable[Workload | None], held: Collection[BackgroundWriter]
) -> tuple[set[str], dict[str, str]]:
    """The addresses of the pods that are stopped, and the names of all pods around by their addresses."""
    api, beside = session.api, session.environment.workloads.namespace
    selectors = [
        *((beside, workload.selector) for workload in workloads if workload),
        *((beside, f"{JOB_LABEL}={one.name}") for one in held if one.kind == JOB),
        *((one.namespace, f"cnpg.io/poolerName={one.name}") for one in held if one.kind == POOLER and not one.held),
    ]
    ours = {
        pod.status.pod_ip
        for namespace, selector in selectors
        for pod in api.ask(
            f"list the pods {selector} in {namespace}",
            api.core.list_namespaced_pod,
            namespace,
            label_selector=selector,
        ).items
    }
    return ours, pod_names(session, {beside, cluster.namespace})


def pod_names(session: Session, namespaces: Collection[str]) -> dict[str, str]:
    """The names of all pods in ``namespaces``, ``namespace/name``, by their addresses. Raises AccessError."""
    api = session.api
    return {
        pod.status.pod_ip: f"{namespace}/{pod.metadata.name}"
        for namespace in namespaces
        for pod in api.ask(f"list the pods in {namespace}", api.core.list_namespaced_pod, namespace).items
        if pod.status.pod_ip and not pod.spec.host_network
    }
