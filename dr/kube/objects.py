"""What objects in a Kubernetes cluster are known by, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment at one moment.

    ``replicas`` is the wanted count, ``return_to`` the one to go back to after a stop; ``selector`` finds its pods;
    ``labels`` are its own, not its pods'.
    """

    name: str
    replicas: int
    selector: str
    argo_managed: bool
    return_to: int = 0
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, order=True)
class ObjectKey:
    """One object that an operation touches."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind} {self.namespace}/{self.name}"


def identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """The kind and the name: what an object is known by within its group and namespace."""
    return manifest["kind"], manifest["metadata"]["name"]


MANAGED_BY = {"app.kubernetes.io/managed-by": "postgres-dr"}
