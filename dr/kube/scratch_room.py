"""How much may be put into the scratch space of a Cluster's pods, so that none is evicted for it. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_SHARE = 4
"""A quarter of what is allowed: CloudNativePG's own program, its sockets and its logs lie there too."""
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)(m|[kMGTPE]|[KMGTPE]i)?")
_UNITS = {"m": Decimal("0.001")}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("kMGTPE", start=1)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}


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
    found = _QUANTITY.fullmatch(str(quantity))
    return int(Decimal(found[1]) * _UNITS.get(found[2] or "", Decimal(1))) if found else 0
