"""How full the volumes of a Cluster's instances are: asked in the pods, where they are mounted."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from kubernetes.utils.quantity import parse_quantity

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.errors import AccessError
from dr.health.snapshot import Volume
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import PodExec
from dr.postgres.psql import CONTAINER

_SECONDS = 10
_DATA, _WAL = "/var/lib/postgresql/data", "/var/lib/postgresql/wal"
"""Where CloudNativePG mounts ``storage`` and ``walStorage`` (its ``pkg/specs/volumes.go``)."""


def ask_volumes(api: KubernetesApi, cluster: ClusterSnapshot, pods: Sequence[str]) -> tuple[Volume, ...]:
    """The volumes of each of ``pods``. Raises AccessError."""
    paths = [_DATA, *([_WAL] if cluster.spec.get("walStorage") else [])]
    with ThreadPoolExecutor(max_workers=4) as pool:
        claims = pool.submit(_claims, api, cluster)
        told = list(pool.map(lambda pod: _disk_free(api, cluster.namespace, pod, paths), pods))
    claimed = claims.result()
    return tuple(volume for pod, text in zip(pods, told, strict=True) for volume in volumes_of(pod, text, claimed))


def volumes_of(pod: str, text: str, claimed: Mapping[str, int]) -> Iterator[Volume]:
    """Read what ``df -P -B1`` printed in ``pod``. ``claimed`` is what each claim has, in bytes."""
    for line in text.splitlines()[1:]:
        _, _, used, free, _, path = line.split(maxsplit=5)
        claim = f"{pod}-wal" if path == _WAL else pod
        yield Volume(pod=pod, path=path, used=int(used), free=int(free), claimed=claimed.get(claim))


def _disk_free(api: KubernetesApi, namespace: str, pod: str, paths: Sequence[str]) -> str:
    what = f"see how full the volumes of {namespace}/{pod} are"
    ran = PodExec(api, namespace=namespace, pod=pod, container=CONTAINER).run(
        ["df", "-P", "-B1", *paths], what=what, limit=_SECONDS
    )
    if ran.code != 0:
        raise AccessError("df-failed", f"could not {what}: {ran.errors.strip()}", f"kubectl describe pod {pod}")
    return ran.output


def _claims(api: KubernetesApi, cluster: ClusterSnapshot) -> dict[str, int]:
    """What each claim of the Cluster has, by its name: that of the pod, with ``-wal`` for its WAL."""
    found = api.ask(
        f"list the volumes of {cluster.namespace}/{cluster.name}",
        api.core.list_namespaced_persistent_volume_claim,
        cluster.namespace,
        label_selector=f"cnpg.io/cluster={cluster.name}",
    )
    return {
        claim.metadata.name: int(parse_quantity(claim.status.capacity["storage"]))
        for claim in found.items
        if claim.status.capacity
    }
