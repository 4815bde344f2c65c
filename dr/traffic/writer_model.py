"""What writes to the database, or starts what writes, and what plans say of it. Pure.

A CronJob starts a new writer whatever the Deployments' counts are; a CloudNativePG Pooler keeps connections of clients
that no Deployment of ours names. A HorizontalPodAutoscaler lets a target of 0 replicas be, unless its own minimum is 0
(Kubernetes docs, "Implicit maintenance-mode deactivation"). Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dr.config.environment import Environment
from dr.core.errors import Problem
from dr.kube.objects import ObjectKey, Workload
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


def scale_commands(environment: Environment, workloads: Sequence[Workload]) -> list[str]:
    """The commands that scale the workloads to the counts to return to."""
    namespace = environment.workloads.namespace
    return [
        environment.commands.kubectl(
            "scale", f"deployment/{workload.name}", f"--replicas={workload.return_to}", namespace=namespace
        )
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
            remedy="correct workloads in Pulumi.<env>.yaml: a writer that is not stopped keeps writing",
        )


CRON_JOB, JOB, AUTOSCALER, POOLER = "CronJob", "Job", "HorizontalPodAutoscaler", "Pooler"

_GROUPS = {CRON_JOB: "batch", JOB: "batch", AUTOSCALER: "autoscaling", POOLER: "postgresql.cnpg.io"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    CRON_JOB: ("spec", "suspend"),
    JOB: ("spec", "suspend"),
    AUTOSCALER: ("spec", "minReplicas"),
    POOLER: ("spec", "pgbouncer", "paused"),
}
_HELD: Mapping[str, Any] = {CRON_JOB: True, JOB: True, AUTOSCALER: 1, POOLER: True}
WORDS: Mapping[str, str] = {CRON_JOB: "suspend", JOB: "suspend", AUTOSCALER: "keep from 0 replicas", POOLER: "pause"}


@dataclass(frozen=True, kw_only=True)
class BackgroundWriter:
    """One such object. ``setting`` is the value of the field that a hold changes, None where it is not set;
    ``cluster`` is the Cluster that a Pooler leads to, empty for the other kinds.
    """

    kind: str
    namespace: str
    name: str
    setting: Any
    cluster: str = ""

    def __str__(self) -> str:
        """For people, and in the record."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def key(self) -> ObjectKey:
        """What names it."""
        return ObjectKey(_GROUPS[self.kind], self.kind, self.namespace, self.name)

    @property
    def held(self) -> bool:
        """Whether it starts nothing as it is."""
        return self.setting != 0 if self.kind == AUTOSCALER else self.setting is True

    @property
    def suspend(self) -> Mapping[str, Any]:
        """The merge patch that holds it."""
        return self.release(_HELD[self.kind])

    def release(self, setting: Any) -> Mapping[str, Any]:
        """The merge patch that gives it ``setting`` back, as :attr:`setting` was before the hold."""
        patch: Any = setting
        for field in reversed(_FIELDS[self.kind]):
            patch = {field: patch}
        found: Mapping[str, Any] = patch
        return found


def setting_of(kind: str, raw: Mapping[str, Any]) -> Any:
    """The value of the field that a hold changes, from the object as the Kubernetes API returns it."""
    value: Any = raw
    for field in _FIELDS[kind]:
        value = (value or {}).get(field)
    return value


def held_setting(held: Mapping[str, Any], kind: str, namespace: str, name: str) -> BackgroundWriter | None:
    """One of the objects that the record says are ``held``, with the setting that it had before; None where it is not
    among them.
    """
    one = BackgroundWriter(kind=kind, namespace=namespace, name=name, setting=None)
    return replace(one, setting=held[str(one)]) if str(one) in held else None


def to_release(
    found: Collection[BackgroundWriter], remembered: Mapping[str, Any], *, serving: str
) -> tuple[BackgroundWriter, ...]:
    """Those to release when the traffic is at the Cluster ``serving``: a Pooler of another one stays paused, as it
    leads to a Cluster that takes no writes.
    """
    return tuple(one for one in found if str(one) in remembered and one.cluster in {"", serving})
