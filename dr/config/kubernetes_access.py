"""How the cluster of an environment is reached."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from dr.config.stack_file import Section
from dr.core.commands import CommandLines


class KubernetesAccess(Section):
    """Which cluster, and only that one."""

    context: Annotated[str, Field(min_length=1)]
    """The kubeconfig context of this environment. The kubeconfig's current context is never used."""
    kubeconfig: str | None = None
    """One kubeconfig file; without it ``$KUBECONFIG``, then ``~/.kube/config``."""

    @property
    def commands(self) -> CommandLines:
        """The commands of kubectl on this cluster. ``~`` is replaced: a shell would not do so within quotes."""
        file = str(Path(self.kubeconfig).expanduser()) if self.kubeconfig else ""
        return CommandLines(context=self.context, kubeconfig=file)
