"""`status`: what runs, what is healthy, which versions, and where everything lies; looks, and changes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lab import gitops, processes, versions
from lab.cluster import Cluster, condition
from lab.data import content
from lab.data.environments import DATABASES, ENVIRONMENTS
from lab.errors import LabError
from lab.gcp import component as google
from lab.node import kubernetes, namespace
from lab.paths import Cache, State
from lab.platform import argocd, barman_plugin, cnpg, secrets
from lab.tools import pulumi

PARTS = {
    namespace.HOLDER: "the node's mount namespace",
    "containerd": "container runtime",
    "etcd": "Kubernetes' store",
    "apiserver": f"Kubernetes {versions.KUBERNETES}",
    "controllers": "Kubernetes' controllers",
    "scheduler": "Kubernetes' scheduler",
    "kubelet": "the node",
    "proxy": "Service addresses",
    "dns": f"CoreDNS {versions.COREDNS}",
    "gcs": "GCS server",
    "storage": "volume provisioner",
    secrets.NAME: "what copies Secrets",
    google.NAME: "the double of Google",
    argocd.REDIS: "Argo CD's cache",
    argocd.REPOSITORIES: "Argo CD's reader of Git",
    argocd.CONTROLLER: f"Argo CD {versions.ARGOCD}",
    argocd.APPLICATION_SETS: "Argo CD's ApplicationSets",
}


@dataclass(frozen=True)
class Part:
    """One part of the lab as it is now."""

    name: str
    what: str
    healthy: bool
    detail: str
    """Why it is not healthy, or what it is at."""
    pid: int | None = None
    log: str | None = None


@dataclass(frozen=True)
class Status:
    """The lab as it is now."""

    parts: list[Part]
    versions: dict[str, str]
    paths: dict[str, str]

    @property
    def healthy(self) -> bool:
        return all(part.healthy for part in self.parts)

    def document(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {"healthy": self.healthy, **asdict(self)}


def status(where: State, cache: Cache) -> Status:
    """Look at every part; never raises for a part that is down."""
    parts = [_process(where, name, what) for name, what in PARTS.items()]
    parts.append(_pulumi(where))
    if kubernetes.healthy(where):
        try:
            parts += _in_cluster(where)
        except (LabError, OSError) as error:
            parts.append(Part("cluster", "what runs in the cluster", healthy=False, detail=str(error)))
    else:
        parts.append(
            Part("cluster", "what runs in the cluster", healthy=False, detail="the API server does not answer")
        )
    return Status(
        parts=parts,
        versions={
            "kubernetes": versions.KUBERNETES,
            "cnpg": versions.CNPG,
            "barman-plugin": versions.BARMAN_PLUGIN,
            "coredns": versions.COREDNS,
            "argocd": versions.ARGOCD,
            "postgresql": versions.POSTGRES,
            "pulumi": versions.PULUMI,
            "pulumi-kubernetes": versions.PULUMI_KUBERNETES,
        },
        paths={
            "state": str(where.root),
            "cache": str(cache.root),
            "kubeconfig": str(where.kubeconfig),
            "config": str(where.config),
            "logs": str(where.logs),
        },
    )


def _process(where: State, name: str, what: str) -> Part:
    record = processes.read(where, name)
    log = str(processes.log_path(where, name))
    if record is None:
        return Part(name, what, healthy=False, detail="not started")
    if not record.alive():
        return Part(name, what, healthy=False, detail="has died", log=log)
    return Part(name, what, healthy=True, detail=f"since {record.started_at}", pid=record.pid, log=log)


def _pulumi(where: State) -> Part:
    found = pulumi.chosen(where)
    if found is None:
        return Part("pulumi", "Pulumi with its Kubernetes provider", healthy=False, detail="not there")
    return Part("pulumi", "Pulumi with its Kubernetes provider", healthy=True, detail=found.origin)


def _in_cluster(where: State) -> list[Part]:
    cluster = Cluster(where)
    ready = cnpg.is_ready(cluster)
    parts = [Part("cnpg", f"CNPG operator {versions.CNPG}", healthy=ready, detail="ready" if ready else "not ready")]
    ready = barman_plugin.is_ready(cluster)
    what = f"Barman Cloud plugin {versions.BARMAN_PLUGIN}"
    parts.append(Part("plugin", what, healthy=ready, detail="ready" if ready else "not ready"))
    made = content.as_sources_make_it(where)
    archives = f", {content.PLUGIN_ENVIRONMENT} archiving by the plugin" if content.by_plugin(where) else ""
    detail = f"as these sources make it{archives}" if made else "missing, incomplete or of other sources: run `reset`"
    parts.append(Part("data", "the lab's data", healthy=made, detail=detail))
    parts.append(_gitops(cluster))
    for environment in ENVIRONMENTS:
        found = cluster.get(content.CNPG, "Cluster", environment.cluster, DATABASES) or {}
        phase = str((found.get("status") or {}).get("phase", "not there"))
        archiving = condition(found, "ContinuousArchiving") == "True"
        healthy = phase == content.HEALTHY and archiving
        detail = f"{phase}, archiving {'works' if archiving else 'does not work'}"
        parts.append(Part(environment.cluster, f"the database of {environment.name}", healthy=healthy, detail=detail))
    return parts


def _gitops(cluster: Cluster) -> Part:
    """Off and on are both as they should be; what it says of each Application, `gitops status` tells."""
    found = gitops.applications(cluster)
    detail = f"on, with {len(found)} Applications" if found else "off"
    return Part("gitops", "what Git declares, Argo CD keeps", healthy=True, detail=detail)
