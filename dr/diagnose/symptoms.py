"""What can be seen of a platform on a bad day, part by part. Each part may be what cannot be seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.history import OperationEntry

GONE = "GONE"
"""What is proven of a GKE cluster by Google's own word: it is not there, and not on the list either."""

_SPOT_LABELS = ("cloud.google.com/gke-spot", "cloud.google.com/gke-preemptible")
_ENDING_TAINTS = {"cloud.google.com/impending-node-termination", "node.cloudprovider.kubernetes.io/shutdown"}
_NODE_ENDED = {"Terminated", "NodeShutdown", "Shutdown", "NodeLost", "Preempting"}
"""Why a pod failed whose node was taken away under it (Kubernetes' graceful node shutdown, the node's controller)."""


@dataclass(frozen=True, kw_only=True)
class Silence:
    """Why a part could not be looked at: ``code`` and ``cause`` as in :class:`dr.core.errors.DrError`."""

    code: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class NodeSeen:
    """One node. ``since`` is when its readiness changed last; ``ending`` says that its machine is being taken away."""

    name: str
    ready: bool
    spot: bool
    ending: bool
    region: str
    since: datetime | None
    reason: str

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "NodeSeen":
        """Read the object as the Kubernetes API returns it."""
        conditions = {one["type"]: one for one in (raw.get("status") or {}).get("conditions") or ()}
        ready = conditions.get("Ready") or {}
        labels = raw["metadata"].get("labels") or {}
        since = ready.get("lastTransitionTime")
        return cls(
            name=raw["metadata"]["name"],
            ready=ready.get("status") == "True",
            spot=any(labels.get(label) == "true" for label in _SPOT_LABELS),
            ending=any(taint["key"] in _ENDING_TAINTS for taint in (raw.get("spec") or {}).get("taints") or ()),
            region=labels.get("topology.kubernetes.io/region", ""),
            since=datetime.fromisoformat(since) if since else None,
            reason=ready.get("message") or ready.get("reason") or "its kubelet has never reported",
        )


@dataclass(frozen=True, kw_only=True)
class PodSeen:
    """One pod, and of its containers the one that is worst off.

    ``waiting`` and ``ended`` are the reasons why it does not run now, and why it ended last (``exit_code``,
    ``ended_at``); ``cluster`` names the Cluster it is an instance of, empty for a workload's; ``node_ended`` says that
    it failed since its node was taken away; ``last_words`` are the last lines of its log before it ended.
    """

    name: str
    namespace: str
    cluster: str
    ready: bool
    phase: str
    container: str
    restarts: int
    waiting: str
    ended: str
    exit_code: int | None
    ended_at: datetime | None
    unschedulable: str
    node_ended: bool
    last_words: tuple[str, ...] = ()

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "PodSeen":
        """Read the object as the Kubernetes API returns it."""
        metadata, status = raw["metadata"], raw.get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions") or ()}
        containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        worst: Mapping[str, Any] = max(
            containers, key=lambda one: (bool(_waiting(one)), one.get("restartCount", 0)), default={}
        )
        ended = (worst.get("lastState") or {}).get("terminated") or (worst.get("state") or {}).get("terminated") or {}
        finished, scheduled = ended.get("finishedAt"), conditions.get("PodScheduled") or {}
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            cluster=(metadata.get("labels") or {}).get("cnpg.io/cluster", ""),
            ready=(conditions.get("Ready") or {}).get("status") == "True",
            phase=status.get("phase") or "",
            container=worst.get("name", ""),
            restarts=worst.get("restartCount", 0),
            waiting=_waiting(worst),
            ended=ended.get("reason") or "",
            exit_code=ended.get("exitCode"),
            ended_at=datetime.fromisoformat(finished) if finished else None,
            unschedulable=scheduled.get("message") or "" if scheduled.get("reason") == "Unschedulable" else "",
            node_ended=status.get("phase") == "Failed" and status.get("reason") in _NODE_ENDED,
        )


def _waiting(container: Mapping[str, Any]) -> str:
    return ((container.get("state") or {}).get("waiting") or {}).get("reason") or ""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An incident that Google says is going on, where, and its public page. ``regions`` are names such as
    ``asia-northeast1``, or ``global``.
    """

    what: str
    regions: frozenset[str]
    products: tuple[str, ...]
    began: datetime
    page: str


@dataclass(frozen=True, kw_only=True)
class ClustersSeen:
    """CloudNativePG's Clusters. ``installed`` is False without its CRD, ``looked`` where this user may not look."""

    found: tuple[ClusterSnapshot, ...] = ()
    installed: bool = True
    looked: bool = True


@dataclass(frozen=True, kw_only=True)
class KubernetesSeen:
    """What the environment's cluster says. ``serving`` is the Cluster behind the Service, empty when it is none of
    ours; ``unseen`` tells what could not be looked at, and why, ``unobserved`` which parts that were.
    """

    nodes: tuple[NodeSeen, ...]
    pods: tuple[PodSeen, ...]
    clusters: ClustersSeen
    serving: str
    unfinished: OperationEntry | None
    unseen: tuple[str, ...] = ()
    unobserved: tuple[str, ...] = ()


KUBERNETES_PARTS = ("the Service", "the nodes", "the Clusters", "the pods", "the record")
"""What is looked at through the Kubernetes API."""


@dataclass(frozen=True, kw_only=True)
class Symptoms:
    """Everything that was seen. ``seen_at`` is aware UTC. ``health`` is what the application's own check answers, in a
    line, empty when the environment names none; ``region`` is where it is known to run, empty when that is not known;
    ``gke`` is what Google says of the cluster: its status, ``GONE`` where that is proven, empty where it was not asked
    or did not tell.
    """

    seen_at: datetime
    kubernetes: KubernetesSeen | Silence
    bucket: Silence | None
    incidents: tuple[Incident, ...] | Silence
    health: str
    region: str
    gke: str = ""
