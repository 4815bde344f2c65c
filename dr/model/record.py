"""What this tool has to remember between runs, kept in the environment's own cluster.

Replica counts are lost the moment a Deployment is scaled to 0, and a recovery that was declared once must stay
declared: dropping it from the program would ask Pulumi to delete the recovered Cluster. Any operator's next run, and
``pulumi up``, read the same record.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from dr.model.recovered import RecoveredCluster


class DeclaredRecovery(BaseModel):
    """One recovered Cluster that the recovery stack holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: dict[str, Any]
    limit_seconds: float

    @property
    def cluster(self) -> RecoveredCluster:
        """The same as a value to declare from."""
        return RecoveredCluster(manifest=self.manifest, limit=timedelta(seconds=self.limit_seconds))


class Record(BaseModel):
    """The record of one environment. ``replicas`` maps a Deployment to the count it had before it was stopped."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    updated: datetime
    updated_by: str
    recoveries: tuple[DeclaredRecovery, ...] = ()
    replicas: Mapping[str, int] = {}

    def with_recovery(self, cluster: RecoveredCluster) -> "Record":
        """The record with ``cluster`` declared, in place of an earlier declaration of the same name."""
        declared = DeclaredRecovery(manifest=dict(cluster.manifest), limit_seconds=cluster.limit.total_seconds())
        others = tuple(recovery for recovery in self.recoveries if recovery.cluster.name != cluster.name)
        return self.model_copy(update={"recoveries": (*others, declared)})

    def with_replicas(self, seen: Mapping[str, int]) -> "Record":
        """The record with the counts of Deployments that run. One that is at 0 keeps what was remembered of it."""
        running = {name: count for name, count in seen.items() if count > 0}
        return self.model_copy(update={"replicas": {**self.replicas, **running}})

    def recovery(self, name: str) -> RecoveredCluster | None:
        """The declaration of the recovered Cluster ``name``."""
        return next((recovery.cluster for recovery in self.recoveries if recovery.cluster.name == name), None)
