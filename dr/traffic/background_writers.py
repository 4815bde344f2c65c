"""What writes to the database, or wakes what writes, by itself: held while the writers are stopped, then let go.

A CronJob starts a new writer whatever the Deployments' counts are; a CloudNativePG Pooler keeps connections of clients
that no Deployment of ours names. A HorizontalPodAutoscaler lets a target of 0 replicas be, unless its own minimum is 0
(Kubernetes docs, "Implicit maintenance-mode deactivation"). Pure.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dr.core.plan import Step
from dr.kube.objects import ObjectKey

CRON_JOB, JOB, AUTOSCALER, POOLER = "CronJob", "Job", "HorizontalPodAutoscaler", "Pooler"

_GROUPS = {CRON_JOB: "batch", JOB: "batch", AUTOSCALER: "autoscaling", POOLER: "postgresql.cnpg.io"}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    CRON_JOB: ("spec", "suspend"),
    JOB: ("spec", "suspend"),
    AUTOSCALER: ("spec", "minReplicas"),
    POOLER: ("spec", "pgbouncer", "paused"),
}
_HELD: Mapping[str, Any] = {CRON_JOB: True, JOB: True, AUTOSCALER: 1, POOLER: True}
_WORDS = {CRON_JOB: "suspend", JOB: "suspend", AUTOSCALER: "keep from 0 replicas", POOLER: "pause"}


@dataclass(frozen=True, kw_only=True)
class SelfStarter:
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
    def hold(self) -> Mapping[str, Any]:
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


def held_setting(held: Mapping[str, Any], kind: str, namespace: str, name: str) -> SelfStarter | None:
    """One of the objects that the record says are ``held``, with the setting that it had before; None where it is not
    among them.
    """
    one = SelfStarter(kind=kind, namespace=namespace, name=name, setting=None)
    return replace(one, setting=held[str(one)]) if str(one) in held else None


def to_release(
    found: Collection[SelfStarter], remembered: Mapping[str, Any], *, serving: str
) -> tuple[SelfStarter, ...]:
    """Those to let go when the traffic is at the Cluster ``serving``: a Pooler of another one stays paused, as it leads
    to a Cluster that takes no writes.
    """
    return tuple(one for one in found if str(one) in remembered and one.cluster in {"", serving})


def hold_step(found: Collection[SelfStarter]) -> Iterator[Step]:
    """The step that holds ``found``; none where nothing is there to hold."""
    if starting := [one for one in found if not one.held]:
        yield Step(
            key="hold",
            done_when="each is set so, and no pod of their Jobs is left",
            title="Hold what starts by itself",
            detail=", ".join(f"{_WORDS[one.kind]} {one}" for one in starting),
        )


def release_step(released: Collection[SelfStarter]) -> Iterator[Step]:
    """The step that lets ``released`` go; none where nothing was held."""
    if released:
        yield Step(
            key="let-go",
            done_when="each is set as it was",
            title="Let them start again",
            detail=f"as before: {', '.join(str(one) for one in released)}",
        )
