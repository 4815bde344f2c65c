"""Which Cluster a recovery comes from, and what the recovered one is called: the rule over generations. Pure.

After a switchover the database that is broken next is the recovered one. Its own archive has what was written since;
the first Cluster's has not.
"""

from collections.abc import Collection

from dr.model.config import Environment
from dr.model.names import free_name
from dr.model.record import Record


def source_of(environment: Environment, *, serving: str, record: Record | None) -> str:
    """The Cluster to recover from: the one that serves, if it is one of ours, else the configured one."""
    recovered = {recovery.cluster.name for recovery in record.recoveries} if record else set()
    return serving if serving in recovered else environment.source_cluster


def recovered_name(environment: Environment, *, source: str, taken: Collection[str]) -> str:
    """What to call the Cluster that is recovered from ``source``: the configured name for the first generation, then
    ``<name>-2``, ``<name>-3``, ... whichever nobody has.
    """
    if source == environment.source_cluster:
        return environment.recovered_cluster
    return free_name(environment.recovered_cluster, {*taken, environment.recovered_cluster})
