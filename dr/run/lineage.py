"""Which Cluster a recovery comes from, and what the recovered one is called: the rule over generations. Pure.

After a switchover the database that is broken next is the recovered one. Its own archive has what was written since;
the first Cluster's has not.
"""

from collections.abc import Collection

from dr.config.environment import Environment
from dr.config.names import free_name
from dr.run.record import Record


def source_of(environment: Environment, *, serving: str, record: Record | None) -> str:
    """The Cluster to recover from: the one that serves, if it is one of ours, else the one that the last finalize made
    the environment's own, else the configured one.
    """
    recovered = {recovery.cluster.name for recovery in record.recoveries} if record else set()
    canonical = (record.canonical if record else "") or environment.source_cluster
    return serving if serving in recovered else canonical


def recovered_last(environment: Environment, record: Record | None) -> str:
    """The Cluster that a switchover is about when none is named: the newest that was recovered."""
    return record.recoveries[-1].cluster.name if record and record.recoveries else environment.recovered_cluster


def recovered_name(environment: Environment, *, source: str, taken: Collection[str]) -> str:
    """What to call the Cluster that is recovered from ``source``: the configured name for the first generation, then
    ``<name>-2``, ``<name>-3``, ... whichever nobody has.
    """
    if source == environment.source_cluster:
        return environment.recovered_cluster
    return free_name(environment.recovered_cluster, {*taken, environment.recovered_cluster})
