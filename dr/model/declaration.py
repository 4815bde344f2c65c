"""What the recovery stack of an environment holds, as a value."""

from dataclasses import dataclass, replace

from dr.model.recovered import RecoveredCluster


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """``clusters`` are all recovered Clusters, oldest first; ``external_name`` is where the Service points, None as
    long as the stack has never been told to touch it.
    """

    clusters: tuple[RecoveredCluster, ...] = ()
    external_name: str | None = None

    def with_cluster(self, cluster: RecoveredCluster) -> "Declaration":
        """The same with ``cluster`` in place of the one of its name."""
        return replace(self, clusters=tuple(cluster if one.name == cluster.name else one for one in self.clusters))
