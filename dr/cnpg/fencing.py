"""Keeping a Cluster from writing, and letting it write again.

CloudNativePG's own means (docs, "Fencing" and "Declarative hibernation"): annotations on the Cluster. A fenced
instance's pod stays, its PostgreSQL is shut down; a hibernated Cluster has no pods. Both keep the volumes, and both can
be undone.
"""

from threading import Event

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import annotate_cluster, find_cluster
from dr.core.commands import CommandLines
from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import GONE, PodExec
from dr.postgres.psql import CONTAINER

FENCED = "cnpg.io/fencedInstances"
HIBERNATION = "cnpg.io/hibernation"
ALL_INSTANCES = '["*"]'
_ASK_SECONDS = 10
_SERVES, _REJECTS, _SILENT, _UNKNOWN = 0, 1, 2, -1
"""What ``pg_isready`` says (PostgreSQL manual). A server that rejects new sessions may still have old ones."""


def fence(api: KubernetesApi, namespace: str, name: str, *, hibernate: bool, limit: float, stop: Event) -> None:
    """Fence or hibernate the Cluster, and wait until none of its instances serves any more.

    ``limit`` is in seconds. At the limit raises StepFailedError ``still-serving``, or ``fence-not-seen`` where what is
    left could not be asked.
    """
    annotate_cluster(api, namespace, name, {HIBERNATION: "on"} if hibernate else {FENCED: ALL_INSTANCES})
    for _ in poll(limit, stop=stop, what=f"{namespace}/{name} to stop serving"):
        states = _states(api, namespace, name)
        serving = [pod for pod, state in states.items() if state in {_SERVES, _REJECTS}]
        unknown = [pod for pod, state in states.items() if state == _UNKNOWN]
        if not serving and not unknown:
            return
    raise _not_silent(api.commands, namespace, name, serving, unknown, limit)


def _not_silent(
    commands: CommandLines, namespace: str, name: str, serving: list[str], unknown: list[str], limit: float
) -> StepFailedError:
    after = f"{limit:.0f} s after fencing {namespace}/{name}"
    if serving:
        return StepFailedError(
            "still-serving",
            f"{', '.join(serving)} still accept connections {after}",
            f"look: {commands.kubectl('describe', 'cluster', name, namespace=namespace)}; is the operator running?",
        )
    return StepFailedError(
        "fence-not-seen",
        f"whether {', '.join(unknown)} still accept connections could not be asked, {after}; a node that is "
        "cut off still serves its open connections",
        f"is its node ready? {commands.kubectl('get', 'pods', '-o', 'wide', namespace=namespace)}; "
        f"{commands.kubectl('get', 'nodes')}. If the machine is off for certain, delete its pod and repeat: "
        + commands.kubectl("delete", "pod", unknown[0], "--force", "--grace-period=0", namespace=namespace),
    )


def forbid_writing(api: KubernetesApi, namespace: str, name: str) -> None:
    """Have all instances of the Cluster fenced, and wait for nothing: where each second counts, and where there may be
    no instance yet. Raises AccessError.
    """
    annotate_cluster(api, namespace, name, {FENCED: ALL_INSTANCES})


def unfence(api: KubernetesApi, namespace: str, name: str, *, limit: float, stop: Event) -> None:
    """Take fencing and hibernation back, and wait until the Cluster is healthy again.

    ``limit`` is in seconds. Raises StepFailedError ``not-serving`` at the limit.
    """
    annotate_cluster(api, namespace, name, {FENCED: None, HIBERNATION: None})
    for _ in poll(limit, stop=stop, what=f"{namespace}/{name} to be healthy"):
        cluster = find_cluster(api, namespace, name)
        if cluster is not None and cluster.healthy and _SERVES in _states(api, namespace, name).values():
            return
    raise StepFailedError(
        "not-serving",
        f"{namespace}/{name} is not healthy {limit:.0f} s after it was let write again "
        f"({cluster.phase if cluster else 'it is gone'})",
        f"look: {api.commands.kubectl('describe', 'cluster', name, namespace=namespace)}",
    )


def is_silent(api: KubernetesApi, cluster: ClusterSnapshot) -> bool:
    """Whether the Cluster is set to take no writes, and each of its instances was seen not to serve. Raises
    AccessError.
    """
    return kept_still(cluster) and none_serves(api, cluster)


def none_serves(api: KubernetesApi, cluster: ClusterSnapshot) -> bool:
    """Whether each of its instances was seen not to serve, whatever its annotations say; also where it has none. Raises
    AccessError.
    """
    return set(_states(api, cluster.namespace, cluster.name).values()) <= {_SILENT}


def kept_still(cluster: ClusterSnapshot) -> bool:
    """Whether the Cluster is set to take no writes, on any of its instances."""
    told = cluster.annotations
    return told.get(FENCED) == ALL_INSTANCES or told.get(HIBERNATION) == "on"


def _states(api: KubernetesApi, namespace: str, name: str) -> dict[str, int]:
    """The instances of the Cluster, each with the state of its PostgreSQL.

    They are asked one by one: their pods' readiness is up to half a minute behind. A pod that has ended has no
    PostgreSQL; of one whose node does not report (phase Unknown) nothing is known.
    """
    pods = api.ask(
        f"list the instances of {namespace}/{name}",
        api.core.list_namespaced_pod,
        namespace,
        label_selector=f"cnpg.io/cluster={name},cnpg.io/podRole=instance",
    ).items
    return {
        pod.metadata.name: _state(api, namespace, pod.metadata.name)
        for pod in pods
        if pod.status.phase in {"Running", "Unknown"}
    }


def _state(api: KubernetesApi, namespace: str, pod: str) -> int:
    """The exit code of ``pg_isready`` in the pod."""
    try:
        return (
            PodExec(api, namespace=namespace, pod=pod, container=CONTAINER)
            .run(["pg_isready", "-q"], what=f"ask whether {namespace}/{pod} serves", limit=_ASK_SECONDS)
            .code
        )
    except AccessError as error:
        return _SILENT if error.code in GONE else _UNKNOWN
