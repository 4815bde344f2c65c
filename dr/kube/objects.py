"""What objects in a Kubernetes cluster are known by, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from dr.core.commands import CommandLines
from dr.core.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment at one moment.

    ``replicas`` is the wanted count, ``return_to`` the one to go back to after a stop; ``selector`` finds its pods;
    ``labels`` are its own, not its pods'; ``secrets`` are the names of the Secrets that its containers have, in their
    environment or as files.
    """

    name: str
    replicas: int
    selector: str
    argo_managed: bool
    return_to: int = 0
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    secrets: tuple[str, ...] = ()


class CopiedSecret(Enum):
    """What is there under the name that a Secret is copied to: nothing, the same, an earlier copy that differs, or
    something that differs and is not this tool's to change.
    """

    MISSING = "missing"
    SAME = "same"
    OLD = "old"
    FOREIGN = "foreign"


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


def problem_of_copy(
    there: CopiedSecret, namespace: str, *, source: str, name: str, in_use: bool, commands: CommandLines
) -> Problem | None:
    """Why the Secret ``name`` cannot stand for its original ``source``, None where it can or may be written again."""
    if there is CopiedSecret.FOREIGN:
        why = "this tool did not make it, or may not change it"
    elif there is CopiedSecret.OLD and in_use:
        why = "a Cluster uses it already"
    else:
        return None
    return Problem(
        code="secret-differs",
        cause=f"the Secret {namespace}/{name} has another user name or password than {namespace}/{source}, and {why}",
        remedy=f"compare the two; where {source} has what the workloads use: "
        f"{commands.kubectl('delete', 'secret', name, namespace=namespace)}, then repeat the command, which copies it",
    )
