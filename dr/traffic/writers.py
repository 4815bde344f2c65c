"""Stopping and starting the workloads that write to the database."""

from collections.abc import Sequence

from dr.core.errors import AccessError
from dr.kube import workloads
from dr.kube.objects import Workload
from dr.run.session import Session

_STOP_SECONDS = 120
_START_SECONDS = 300


def stop_writers(session: Session, writers: Sequence[Workload]) -> str:
    """Scale the Deployments to 0 and wait until their pods are gone. Raises AccessError ``writers-still-running``."""
    namespace = session.environment.workloads.namespace
    for workload in writers:
        if workload.replicas:
            workloads.scale(session.api, namespace, workload.name, 0)
    selectors = {workload.name: workload.selector for workload in writers}
    workloads.await_stopped(session.api, namespace, selectors, limit=_STOP_SECONDS, stop=session.stop)
    return "no pod left"


def check_stopped(session: Session, writers: Sequence[Workload]) -> None:
    """See that nothing has started the writers again. Raises AccessError ``writers-came-back``."""
    namespace = session.environment.workloads.namespace
    now = [workloads.read_deployment(session.api, namespace, workload.name) for workload in writers]
    if back := [f"{found.name} {found.replicas}" for found in now if found and found.replicas]:
        raise AccessError(
            "writers-came-back",
            f"the workloads were started again by somebody else: {', '.join(back)}; what they have written meanwhile "
            "is in the database they write to, and nowhere else",
            "find what started them (a sync of Argo CD by hand? an autoscaler?), keep it away, and repeat the command: "
            "it stops them again",
        )


def start_writers(session: Session, writers: Sequence[Workload]) -> str:
    """Scale the Deployments to the counts to return to and wait until all pods are ready. Raises AccessError
    ``writers-not-ready``.
    """
    namespace = session.environment.workloads.namespace
    for workload in writers:
        workloads.scale(session.api, namespace, workload.name, workload.return_to)
    names = [workload.name for workload in writers]
    workloads.await_ready(session.api, namespace, names, limit=_START_SECONDS, stop=session.stop)
    return ", ".join(f"{workload.name} {workload.return_to}" for workload in writers) + " ready"
