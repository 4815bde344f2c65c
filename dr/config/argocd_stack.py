"""What brings Argo CD to an empty cluster: the ``postgres-dr:`` keys of the stack's own file, ``Pulumi.argocd.yaml``.

The chart is pinned, as a rebuild must not be the first time that a new version is met. Where it comes from can be said,
so that a mirror, or a folder with the chart, serves on a day when the public repository does not.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dr.config.environment import KubernetesAccess
from dr.config.stack_file import Name, SecretsProvider, Section, StateUrl

ROOT = "root"
"""The Application that declares the others."""

_Text = Annotated[str, Field(min_length=1)]


class Chart(Section):
    """Argo CD's Helm chart."""

    repository: str = "https://argoproj.github.io/argo-helm"
    """A Helm repository's URL; empty where ``name`` is a folder of this machine, or an ``oci://`` address."""
    name: _Text = "argo-cd"
    version: _Text = "9.1.0"


class RepositoryCredentials(Section):
    """Where the keys of Argo CD's repository Secret lie (``username`` and ``password``, or ``sshPrivateKey``, ...): a
    YAML or JSON mapping, in a file or in Google's Secret Manager.
    """

    file: _Text | None = None
    secret: Annotated[str, Field(pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.secret is None):
            raise ValueError("credentials wants file or secret, and not both; write one of them")
        return self


class ArgoCd(Section):
    """The stack that brings Argo CD and its first Application, as ``Pulumi.<name>.yaml`` describes it."""

    name: Name
    holds: Literal["argocd"]
    kubernetes: KubernetesAccess
    namespace: Name = "argocd"
    chart: Chart = Chart()
    values: dict[str, Any] = Field(default_factory=dict)
    """The chart's values."""
    repository: _Text
    """The Git repository's URL, as Argo CD is to reach it."""
    revision: _Text = "HEAD"
    path: _Text
    """The folder of the Applications in it."""
    credentials: RepositoryCredentials | None = None
    """Without them the repository has to be readable by anyone."""
    timeout_minutes: Annotated[float, Field(gt=0, le=120)] = 10
    """How long the chart's own objects may take to be ready."""
    state_backend: StateUrl | None = None
    secrets_provider: SecretsProvider = "passphrase"

    @property
    def root(self) -> dict[str, Any]:
        """The root Application."""
        return {
            "project": "default",
            "source": {"repoURL": self.repository, "targetRevision": self.revision, "path": self.path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        }
