"""What plans say of the workloads that write: the counts to return to, the step that stops them, the commands."""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dr.config.environment import Environment
from dr.core.errors import Problem
from dr.core.plan import Step
from dr.kube.objects import Workload
from dr.run.record import Record


def with_counts(
    environment: Environment, workloads: Iterable[Workload | None], record: Record | None
) -> Iterator[Workload]:
    """The workloads, each with the count it runs with, or had before an earlier run stopped it, or is configured."""
    remembered = record.replicas if record else {}
    for workload in workloads:
        if workload:
            count = workload.replicas or remembered.get(workload.name) or environment.workloads.replicas
            yield replace(workload, return_to=count)


def stop_step(environment: Environment, workloads: Sequence[Workload], *, undo: Sequence[str]) -> Step:
    """The step that stops the writers."""
    names = ", ".join(workload.name for workload in workloads)
    return Step(
        key="stop-writers",
        done_when="no pod of them is left, terminating ones included",
        title="Stop the writers",
        detail=f"scale {names} in {environment.workloads.namespace} to 0 and wait until their pods are gone",
        undo=tuple(undo),
    )


def scale_commands(
    environment: Environment, workloads: Sequence[Workload], *, replicas: int | None = None
) -> list[str]:
    """The commands that scale the workloads to ``replicas``, or to the counts to return to."""
    kubectl = f"kubectl --context {shlex.quote(environment.kubernetes.context)}"
    return [
        f"{kubectl} scale deployment/{workload.name} -n {environment.workloads.namespace} "
        f"--replicas={workload.return_to if replicas is None else replicas}"
        for workload in workloads
    ]


def problems_around(
    environment: Environment, external_name: str | None, workloads: Mapping[str, Workload | None]
) -> Iterator[Problem]:
    """What every operation needs around the Cluster: the Service and the workloads. None stands for what is missing."""
    if external_name is None:
        yield Problem(
            code="service-missing",
            cause=f"there is no Service {environment.namespace}/{environment.service}",
            remedy="correct service in Pulumi.<env>.yaml, or create the Service: the traffic is moved by it",
        )
    for name in (name for name, workload in workloads.items() if workload is None):
        yield Problem(
            code="workload-missing",
            cause=f"there is no Deployment {environment.workloads.namespace}/{name} to stop",
            remedy="correct workloads in Pulumi.<env>.yaml: a writer that is not stopped goes on writing",
        )
