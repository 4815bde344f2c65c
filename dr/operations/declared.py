"""What the recovery stack of an environment holds, for whoever declares it: the record in the environment's cluster."""

from dr.clients.kubernetes import KubernetesApi
from dr.clients.record_store import RecordStore
from dr.model.config import Environment
from dr.model.recovered import RecoveredCluster


def declared_clusters(environment: Environment) -> list[RecoveredCluster]:
    """The recovered Clusters that operations have declared so far, oldest first. Raises AccessError."""
    api = KubernetesApi(environment.kubernetes)
    record = RecordStore(api, environment.namespace, environment.name, user="pulumi").read()
    return [recovery.cluster for recovery in record.recoveries] if record else []
