"""How the cluster of an environment is reached."""

from typing import Annotated

from pydantic import Field

from dr.config.stack_file import Section


class KubernetesAccess(Section):
    """Which cluster, and only that one."""

    context: Annotated[str, Field(min_length=1)]
    """The kubeconfig context of this environment. The kubeconfig's current context is never used."""
    kubeconfig: str | None = None
    """One kubeconfig file; without it ``$KUBECONFIG``, then ``~/.kube/config``."""
