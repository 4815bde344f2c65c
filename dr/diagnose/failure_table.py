"""The runbook's table of failures, and the rows that practice adds: what recovers automatically, and how long it takes.

The times are the runbook's. What it has no row for (a node, the bucket, the archive, the operator's own machine) has
one here, so that every symptom has a place.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. ``recovers`` says what recovers automatically, and by whose doing; ``downtime`` how long it takes."""

    key: str
    scenario: str
    recovers: str
    downtime: str
    of_the_runbook: bool = True


POD_CRASH = Row(
    key="pod-crash",
    scenario="Pod crash",
    recovers="automatically: Kubernetes starts the container again, and Argo CD keeps everything as Git declares it",
    downtime="seconds",
)
SPOT_PREEMPTION = Row(
    key="spot-preemption",
    scenario="Spot node preemption",
    recovers="automatically: GKE makes another node, Kubernetes reschedules the pods, and the volume is attached there",
    downtime="1-2 min",
)
DATA_CORRUPTION = Row(
    key="data-corruption",
    scenario="DB data corruption",
    recovers="not automatically: recover into a new Cluster",
    downtime="10-20 min",
)
TABLE_DROP = Row(
    key="table-drop",
    scenario="Accidental table drop",
    recovers="not automatically: recover into a new Cluster, to just before",
    downtime="10-20 min",
)
CLUSTER_DESTROYED = Row(
    key="cluster-destroyed",
    scenario="GKE cluster destroyed",
    recovers="not automatically: rebuild the platform, and recover the database from its backups",
    downtime="30-60 min",
)
REGION_OUTAGE = Row(
    key="region-outage",
    scenario="GCP region outage",
    recovers="when Google has repaired the region; sooner only in another region, with what was prepared before",
    downtime="hours",
)
NODE_NOT_READY = Row(
    key="node-not-ready",
    scenario="Node not ready",
    recovers="automatically: Kubernetes moves the pods after 5 minutes, GKE repairs the node after about 10",
    downtime="5-15 min",
    of_the_runbook=False,
)
BUCKET = Row(
    key="bucket",
    scenario="Backup bucket unreachable",
    recovers="automatically, once the bucket answers: PostgreSQL keeps its WAL and CloudNativePG archives it then. "
    "Until then the volume fills, and a full one stops the database",
    downtime="none, while the volume has room",
    of_the_runbook=False,
)
ARCHIVE = Row(
    key="archive",
    scenario="Archiving fails",
    recovers="automatically, if the bucket or the permission comes back: CloudNativePG tries each segment again. "
    "Until then the volume fills, and nothing newer can be recovered",
    downtime="none, while the volume has room",
    of_the_runbook=False,
)
CONTROL_PLANE = Row(
    key="control-plane",
    scenario="Kubernetes API ill",
    recovers="automatically: GKE repairs its control plane. Pods keep running; what fails meanwhile is not restarted",
    downtime="none, while nothing else fails",
    of_the_runbook=False,
)
THIS_MACHINE = Row(
    key="this-machine",
    scenario="Not seen from this machine",
    recovers="nothing is known to be broken: this machine cannot look",
    downtime="none",
    of_the_runbook=False,
)

ROWS = (
    REGION_OUTAGE,
    CLUSTER_DESTROYED,
    DATA_CORRUPTION,
    TABLE_DROP,
    ARCHIVE,
    BUCKET,
    CONTROL_PLANE,
    NODE_NOT_READY,
    SPOT_PREEMPTION,
    POD_CRASH,
    THIS_MACHINE,
)
"""The worst first: what is found is shown in this order, as the ones below may be its consequences."""
