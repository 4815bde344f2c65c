"""How much may be put into the scratch space of a Cluster's pods, so that none is evicted for it. Pure."""

from collections.abc import Mapping
from typing import Any

from kubernetes.utils.quantity import parse_quantity

_SHARE = 4
"""A quarter of what is allowed: CloudNativePG's own program, its sockets and its logs lie there too."""


def scratch_room(spec: Mapping[str, Any]) -> int | None:
    """Bytes that may be put there, for a Cluster's ``spec``; None where nothing is limited.

    The kubelet evicts a pod when a volume of it outgrows its own limit (``ephemeralVolumesSizeLimit.temporaryData``),
    and when all of them outgrow its containers' (``resources.limits.ephemeral-storage``).
    """
    volume = (spec.get("ephemeralVolumesSizeLimit") or {}).get("temporaryData")
    pod = ((spec.get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
    limits = [_bytes_of(limit) for limit in (volume, pod) if limit is not None]
    return min(limits) // _SHARE if limits else None


def _bytes_of(quantity: object) -> int:
    """Of a Kubernetes quantity, such as ``512Mi``. 0 for what is none: Kubernetes has let no such thing in."""
    try:
        return int(parse_quantity(quantity))
    except ValueError:
        return 0
