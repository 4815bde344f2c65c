"""What the recovery stack of an environment holds, as a value."""

from dataclasses import dataclass

from dr.model.recovered import RecoveredCluster


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """``clusters`` are all recovered Clusters, oldest first; ``external_name`` is where the Service points, None as
    long as the stack has never been told to touch it.
    """

    clusters: tuple[RecoveredCluster, ...] = ()
    external_name: str | None = None
