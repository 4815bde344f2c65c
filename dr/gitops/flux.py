"""What Flux would put back: it labels each object that it applies with the name and the namespace of what declares it.
Pure.

``kustomize-controller`` sets ``kustomize.toolkit.fluxcd.io/name`` and ``/namespace``, ``helm-controller`` the same with
``helm.toolkit.fluxcd.io`` (Flux docs, "Kustomization" and "HelmRelease"). Each puts its objects back at its interval.
"""

from collections.abc import Collection, Iterator, Mapping

from dr.cnpg.cluster import ClusterSnapshot
from dr.kube.objects import Workload

_KINDS = {"kustomize.toolkit.fluxcd.io": "kustomization", "helm.toolkit.fluxcd.io": "helmrelease"}


def flux_warnings(
    workloads: Collection[Workload | None],
    clusters: Collection[ClusterSnapshot | None],
    *,
    service: str,
    service_labels: Mapping[str, str],
) -> Iterator[str]:
    """A word where the touched objects bear Flux's labels, with the commands that suspend what declares them."""
    touched: list[tuple[str, Mapping[str, str]]] = [
        *((f"Deployment {one.name}", one.labels) for one in workloads if one),
        (f"Service {service}", service_labels),
        *((f"Cluster {one.name}", one.labels) for one in clusters if one),
    ]
    declared = {name: commands for name, labels in touched if (commands := tuple(_suspending(labels)))}
    if declared:
        suspending = sorted({one for commands in declared.values() for one in commands})
        yield (
            f"Flux manages {', '.join(sorted(declared))} and puts back what is changed. "
            f"Unless it is suspended already: {'; '.join(suspending)}. Resume it when Git says what the cluster has."
        )


def _suspending(labels: Mapping[str, str]) -> Iterator[str]:
    for group, kind in _KINDS.items():
        if name := labels.get(f"{group}/name"):
            namespace = labels.get(f"{group}/namespace")
            yield f"flux suspend {kind} {name}{f' -n {namespace}' if namespace else ''}"
