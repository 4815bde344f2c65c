"""What Flux would put back: it labels each object that it applies with the name and the namespace of what declares it.
Pure.

``kustomize-controller`` sets ``kustomize.toolkit.fluxcd.io/name`` and ``/namespace``, ``helm-controller`` the same with
``helm.toolkit.fluxcd.io`` (Flux docs, "Kustomization" and "HelmRelease"). Each puts its objects back at its interval.
"""

from collections.abc import Collection, Iterator, Mapping

from dr.cnpg.cluster import ClusterSnapshot
from dr.core.commands import ANY_RUN, CommandLines
from dr.kube.objects import Workload

_KINDS = {"kustomize.toolkit.fluxcd.io": "kustomization", "helm.toolkit.fluxcd.io": "helmrelease"}


def flux_warnings(
    workloads: Collection[Workload | None],
    clusters: Collection[ClusterSnapshot | None],
    *,
    service: str,
    service_labels: Mapping[str, str],
    commands: CommandLines = ANY_RUN,
) -> Iterator[str]:
    """A word where the touched objects bear Flux's labels, with the commands that suspend what declares them.
    ``commands`` are the environment's.
    """
    touched: list[tuple[str, Mapping[str, str]]] = [
        *((f"Deployment {one.name}", one.labels) for one in workloads if one),
        (f"Service {service}", service_labels),
        *((f"Cluster {one.name}", one.labels) for one in clusters if one),
    ]
    declared = {name: found for name, labels in touched if (found := tuple(_suspending(labels, commands)))}
    if declared:
        suspending = sorted({one for found in declared.values() for one in found})
        yield (
            f"Flux manages {', '.join(sorted(declared))} and puts back what is changed. "
            f"Unless it is suspended already: {'; '.join(suspending)}. Resume it when Git says what the cluster has."
        )


def _suspending(labels: Mapping[str, str], commands: CommandLines) -> Iterator[str]:
    for group, kind in _KINDS.items():
        if name := labels.get(f"{group}/name"):
            yield commands.flux("suspend", kind, name, namespace=labels.get(f"{group}/namespace", ""))
