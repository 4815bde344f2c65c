"""Where an environment stands, and what to do next: for an operator who has no context."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot, cluster_behind
from dr.config.environment import Environment
from dr.core.history import LeaseSeen, OperationEntry
from dr.core.target import LATEST, written_time
from dr.desired.state import DesiredState, DesiredStateDiff, read_desired
from dr.extract.preconditions import OPERATION as EXTRACT
from dr.kube.objects import Workload
from dr.run.record import Record


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One thing that can be done: why, and the command."""

    why: str
    command: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """What was seen of an environment. ``holder_dead`` says that the lease's holder is known to be gone."""

    environment: Environment
    clusters: tuple[ClusterSnapshot, ...]
    external_name: str | None
    workloads: Mapping[str, Workload | None]
    record: Record | None
    lease: LeaseSeen | None
    holder_dead: bool

    @property
    def at_work(self) -> str:
        """Who is at work, as far as is known; empty when nobody is."""
        return self.lease.holder if self.lease and not self.holder_dead else ""

    @property
    def last(self) -> OperationEntry | None:
        """The newest operation."""
        return self.record.operations[-1] if self.record and self.record.operations else None

    @property
    def serving(self) -> str:
        """The name of the Cluster that the Service points to, empty when it is none of ours."""
        return cluster_behind(self.external_name or "", self.environment.namespace)

    @property
    def desired(self) -> DesiredStateDiff:
        """What the configuration asks for, and how that stands."""
        return read_desired(self.environment, self.record, {cluster.name for cluster in self.clusters})

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What can be done next, the likeliest first."""
        say, last = self.environment.commands, self.last
        back = Advice(why="to go back to where it was", command=say.dr("rollback"))
        if self.at_work:
            return (Advice(why=f"{self.at_work} is running an operation: look again", command=say.dr("status")),)
        if self.record and self.record.unfinished and last:
            done = f" after {last.done[-1]}" if last.done else ""
            go_on = Advice(why=f"to continue the {last.operation}{done}", command=say.dr("resume"))
            # An extraction has moved nothing that could be moved back.
            return (go_on,) if last.operation == EXTRACT else (go_on, back)
        if self.record and self.record.came_from and self.record.external_name == self.external_name:
            checkout = ["--checkout", "FOLDER"] if self.environment.git else []
            keep = Advice(why="to make it the canonical one, and delete the old", command=say.dr("finalize", *checkout))
            return (back, keep)
        ready = [cluster.name for cluster in self.clusters if self._can_take_over(cluster)]
        if ready:
            name = [] if ready[-1] == self.environment.recovered_cluster else ["--recovered-name", ready[-1]]
            move = Advice(why="to move the traffic", command=say.dr("switchover", *name))
            return (move, back)
        if self.desired.state is DesiredState.PENDING:
            why = f"to see what Pulumi.{self.environment.name}.yaml asks for, which is not applied yet"
            return (Advice(why=why, command=say.dr("preview")),)
        if unproven := self._recovered_and_not_verified:
            return (Advice(why=f"to verify {unproven.name}, and continue", command=self._again(unproven)),)
        return (
            Advice(why="to recover to a moment", command=say.dr("pitr", "--target-time", "TIME")),
            Advice(why="to recover everything that was committed", command=say.dr("latest")),
        )

    @property
    def _recovered_and_not_verified(self) -> ClusterSnapshot | None:
        """The newest that was recovered to a time or to the end of the WAL, is healthy, and was never verified."""
        declared = {recovery.cluster.name for recovery in self.record.recoveries} if self.record else set()
        found = [
            cluster
            for cluster in self.clusters
            if cluster.name in declared
            and cluster.healthy
            and cluster.name != self.serving
            and self.record is not None
            and cluster.name not in self.record.verified
            and self._again(cluster)
        ]
        return found[-1] if found else None

    def _again(self, cluster: ClusterSnapshot) -> str:
        """The command that continues the recovery to where ``cluster`` was, empty where a status does not show it."""
        say, target = self.environment.commands, cluster.annotations.get(TARGET_ANNOTATION) or ""
        name = [] if cluster.name == self.environment.recovered_cluster else ["--recovered-name", cluster.name]
        if target == LATEST:
            return say.dr("latest", *name, "--continue")
        plain = written_time(target) is not None and "," not in target
        return say.dr("pitr", "--target-time", target, *name, "--continue") if plain else ""

    def _can_take_over(self, cluster: ClusterSnapshot) -> bool:
        if self.record is None or cluster.name not in self.record.verified or cluster.name == self.serving:
            return False
        return cluster.healthy or cluster.name in self.record.fenced

    def as_json(self) -> dict[str, Any]:
        """The status as plain values."""
        return {
            "environment": self.environment.name,
            "service": {
                "name": self.environment.service,
                "externalName": self.external_name,
                "declared": self.record.external_name if self.record else None,
            },
            "clusters": [
                {
                    "name": cluster.name,
                    "phase": cluster.phase,
                    "healthy": cluster.healthy,
                    "archiving": cluster.archiving.working,
                    "serves": cluster.name == self.serving,
                    "recoveredTo": cluster.annotations.get(TARGET_ANNOTATION),
                    "verified": self.record is not None and cluster.name in self.record.verified,
                    "compared": self.record is not None and self.record.is_compared(cluster.name),
                    "fenced": self.record is not None and cluster.name in self.record.fenced,
                }
                for cluster in self.clusters
            ],
            "workloads": {name: workload.replicas if workload else None for name, workload in self.workloads.items()},
            "canonical": (self.record.canonical if self.record else "") or self.environment.source_cluster,
            "remembered": dict(self.record.replicas) if self.record else {},
            "atWork": self.at_work,
            "asked": str(self.desired) if self.desired.declared else None,
            "operations": [entry.as_json() for entry in (self.record.operations if self.record else ())],
            "next": [{"why": advice.why, "command": advice.command} for advice in self.advice],
        }
