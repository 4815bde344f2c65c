"""The Lease object that keeps two operators out of one environment."""

from datetime import datetime, timedelta
from typing import Any

from dr.core.errors import AccessError
from dr.core.holder import LeaseSeen
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY

_CONFLICT = 409


class LeaseStore:
    """Reads and writes the lease of one environment."""

    def __init__(self, api: KubernetesApi, namespace: str, environment: str) -> None:
        self._api = api
        self._namespace = namespace
        self.name = f"postgres-dr-{environment}"
        self.what = f"Lease {namespace}/{self.name}"

    def read(self) -> LeaseSeen | None:
        """The lease, or None before the first operation."""
        raw = self._api.find(
            f"read the {self.what}", self._api.coordination.read_namespaced_lease, self.name, self._namespace
        )
        if raw is None:
            return None
        return LeaseSeen(
            holder=raw.spec.holder_identity or "",
            acquired=raw.spec.acquire_time,
            renewed=raw.spec.renew_time,
            duration=timedelta(seconds=raw.spec.lease_duration_seconds or 0),
            version=raw.metadata.resource_version,
        )

    def write(self, holder: str, now: datetime, duration: timedelta, *, over: LeaseSeen | None) -> bool:
        """Put ``holder`` into the lease in place of ``over``; an empty one gives it back.

        Returns False when it is not ``over`` any more: someone else was quicker.
        """
        body = self._body(holder, now, duration, over)
        leases = self._api.coordination
        try:
            if over is None:
                self._api.ask(f"create the {self.what}", leases.create_namespaced_lease, self._namespace, body)
            else:
                self._api.ask(
                    f"write the {self.what}", leases.replace_namespaced_lease, self.name, self._namespace, body
                )
        except AccessError as error:
            if getattr(error.__cause__, "status", None) == _CONFLICT:
                return False
            raise
        return True

    def _body(self, holder: str, now: datetime, duration: timedelta, over: LeaseSeen | None) -> dict[str, Any]:
        acquired = over.acquired if over and over.holder == holder and over.acquired else now
        metadata: dict[str, Any] = {"name": self.name, "labels": MANAGED_BY}
        if over:
            metadata["resourceVersion"] = over.version
        return {
            "metadata": metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": int(duration.total_seconds()),
                "acquireTime": acquired.isoformat(timespec="microseconds"),
                "renewTime": now.isoformat(timespec="microseconds"),
            },
        }
