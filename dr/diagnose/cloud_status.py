"""What Google says of its own regions: the incidents of its public status page (``incidents.schema.json`` there)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import requests

from dr.core.errors import AccessError
from dr.diagnose.symptoms import Incident

_BREAKS = {"SERVICE_DISRUPTION", "SERVICE_OUTAGE"}


def incidents_now(url: str, *, seconds: float) -> tuple[Incident, ...]:
    """The disruptions and outages that are going on. Raises AccessError ``status-page-unreachable``."""
    try:
        answer = requests.get(url, timeout=seconds)
        answer.raise_for_status()
        return tuple(_incident(raw, url) for raw in answer.json() if _goes_on(raw))
    except (requests.RequestException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise AccessError(
            "status-page-unreachable",
            f"{url} cannot be read: {str(error)[:200]}",
            "look at https://status.cloud.google.com from another machine",
        ) from error


def _goes_on(raw: Mapping[str, Any]) -> bool:
    return not raw.get("end") and raw.get("status_impact") in _BREAKS


def _incident(raw: Mapping[str, Any], url: str) -> Incident:
    return Incident(
        what=" ".join(str(raw.get("external_desc") or "an incident").split())[:200],
        regions=frozenset(one["id"] for one in raw.get("currently_affected_locations") or ()),
        products=tuple(one["title"] for one in raw.get("affected_products") or ()) or (raw.get("service_name", ""),),
        began=datetime.fromisoformat(raw["begin"]).astimezone(UTC),
        page=urljoin(url, raw.get("uri") or ""),
    )
