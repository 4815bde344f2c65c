"""What the recovery stack of an environment holds, for whoever declares it: the record in the environment's cluster."""

from dr.clients.cnpg import list_clusters
from dr.clients.kubernetes import KubernetesApi
from dr.clients.record_store import RecordStore
from dr.model.config import Environment
from dr.model.declaration import Declaration


def declared(environment: Environment) -> Declaration:
    """What operations have declared so far. Raises AccessError."""
    api = KubernetesApi(environment.kubernetes)
    record = RecordStore(api, environment.namespace, environment.name, user="pulumi").read()
    present = {cluster.name for cluster in list_clusters(api, environment.namespace)}
    return record.declaration(present) if record else Declaration()
