"""What the recovery stack of an environment holds, as a value, and what the stack says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dr.cnpg.recovered import RecoveredCluster
from dr.config.environment import Environment
from dr.core.commands import ANY_RUN


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """``clusters`` are all recovered Clusters, oldest first; ``external_name`` is where the Service points, None as
    long as the stack has never been asked to touch it.
    """

    clusters: tuple[RecoveredCluster, ...] = ()
    external_name: str | None = None

    def with_cluster(self, cluster: RecoveredCluster) -> "Declaration":
        """The same with ``cluster`` in place of the one of its name."""
        return replace(self, clusters=tuple(cluster if one.name == cluster.name else one for one in self.clusters))


def stack_outputs(environment: Environment, declaration: Declaration) -> Mapping[str, Any]:
    """The outputs of the stack. They follow from what is declared and from nothing else, so that ``dr`` and ``pulumi
    up`` by hand, one after the other, never show a difference in them.
    """
    # As any run would say it: with a folder or a program of this one, the stack would change with who runs it.
    say, latest = (
        replace(ANY_RUN, environment=environment.name),
        declaration.clusters[-1] if declaration.clusters else None,
    )
    outputs: dict[str, Any] = {
        "environment": environment.name,
        "service": f"{environment.namespace}/{environment.service}",
        "clusters": [cluster.name for cluster in declaration.clusters],
    }
    if declaration.external_name is not None:
        outputs["externalName"] = declaration.external_name
    if latest is None:
        return {**outputs, "phase": "nothing recovered", "next": say.dr("pitr", "--target-time", "TIME")}
    outputs |= {
        "cluster": latest.name,
        "target": latest.target,
        "serverName": latest.server_name,
        "host": latest.host,
    }
    if declaration.external_name == latest.host:
        checkout = ["--checkout", "FOLDER"] if environment.git else []
        return {**outputs, "phase": "switched over", "next": say.dr("finalize", *checkout)}
    named = [] if latest.name == environment.recovered_cluster else ["--recovered-name", latest.name]
    return {**outputs, "phase": "recovered", "next": say.dr("switchover", *named)}
