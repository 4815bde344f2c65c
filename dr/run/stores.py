"""What operations keep in the environment's own cluster: the lease, the record, and the reports of drills."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from dr.core.errors import AccessError
from dr.core.history import LeaseSeen
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY
from dr.reports.document import ReportDocument
from dr.run.record import Record

_CONFLICT = 409


class LeaseStore:
    """Reads and writes the lease of one environment."""

    def __init__(self, api: KubernetesApi, namespace: str, environment: str) -> None:
        self._api = api
        self._namespace = namespace
        self.commands = api.commands
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


_KEY = "record.json"


class RecordStore:
    """Reads and changes the record of one environment. A concurrent change by another run is refused, not
    overwritten.
    """

    def __init__(self, api: KubernetesApi, namespace: str, environment: str, *, user: str) -> None:
        self._api = api
        self._namespace = namespace
        self.name = f"postgres-dr-{environment}"
        self._user = user

    def read(self) -> Record | None:
        """The record, or None before the first operation. Raises AccessError when it cannot be understood."""
        found = self._read_versioned()
        return found[0] if found else None

    def change(self, change: Callable[[Record], Record], *, now: datetime) -> Record:
        """Apply ``change`` to the record (an empty one at first) and store it, guarded by the object's version."""
        found = self._read_versioned()
        before = found[0] if found else Record(updated=now, updated_by=self._user)
        after = change(before).model_copy(update={"updated": now, "updated_by": self._user})
        metadata: dict[str, object] = {"name": self.name, "labels": MANAGED_BY}
        body = {"metadata": metadata, "data": {_KEY: after.model_dump_json()}}
        what = f"write the ConfigMap {self._namespace}/{self.name}"
        core = self._api.core
        if found:
            metadata["resourceVersion"] = found[1]
            self._api.ask(what, core.replace_namespaced_config_map, self.name, self._namespace, body)
        else:
            self._api.ask(what, core.create_namespaced_config_map, self._namespace, body)
        return after

    def _read_versioned(self) -> tuple[Record, str] | None:
        what = f"read the ConfigMap {self._namespace}/{self.name}"
        raw = self._api.find(what, self._api.core.read_namespaced_config_map, self.name, self._namespace)
        if raw is None:
            return None
        try:
            return Record.model_validate_json(raw.data[_KEY]), raw.metadata.resource_version
        except (KeyError, TypeError, ValidationError) as error:
            raise AccessError(
                "record-unreadable",
                f"the ConfigMap {self._namespace}/{self.name} does not hold a record of this tool: {error}",
                "it was edited or made by a newer version; use that version, or save the object and delete it",
            ) from error


KEPT = 30
_BYTES = 800 * 1024
"""A ConfigMap holds one MiB."""
_TRIES = 3


class ReportStore:
    """The newest drills of one environment, in the ConfigMap ``postgres-dr-<env>-drills``."""

    def __init__(self, api: KubernetesApi, namespace: str, environment: str) -> None:
        self._api = api
        self._namespace = namespace
        self.name = f"postgres-dr-{environment}-drills"

    def keep(self, document: ReportDocument) -> None:
        """Add a report, and forget the oldest ones. Raises AccessError."""
        for attempt in range(_TRIES):
            raw = self._read()
            kept = {**((raw.data or {}) if raw else {}), document.id: json.dumps(document.as_json())}
            try:
                self._write(raw, _newest(kept))
            except AccessError as error:
                if attempt + 1 == _TRIES or getattr(error.__cause__, "status", None) != _CONFLICT:
                    raise
            else:
                return

    def read_all(self) -> list[ReportDocument]:
        """All that are kept, oldest first; one that cannot be read is left out. Raises AccessError."""
        raw = self._read()
        return sorted(_readable((raw.data or {}) if raw else {}), key=lambda document: document.started)

    def _read(self) -> Any:
        what = f"read the ConfigMap {self._namespace}/{self.name}"
        return self._api.find(what, self._api.core.read_namespaced_config_map, self.name, self._namespace)

    def _write(self, over: Any, data: Mapping[str, str]) -> None:
        what = f"write the ConfigMap {self._namespace}/{self.name}"
        metadata: dict[str, Any] = {"name": self.name, "labels": MANAGED_BY}
        body = {"metadata": metadata, "data": dict(data)}
        if over is None:
            self._api.ask(what, self._api.core.create_namespaced_config_map, self._namespace, body)
            return
        metadata["resourceVersion"] = over.metadata.resource_version
        self._api.ask(what, self._api.core.replace_namespaced_config_map, self.name, self._namespace, body)


def _newest(kept: Mapping[str, str]) -> dict[str, str]:
    """The newest that fit. An ID begins with the time."""
    found: dict[str, str] = {}
    left = _BYTES
    for report_id in sorted(kept, reverse=True)[:KEPT]:
        left -= len(kept[report_id].encode())
        if left < 0 and found:
            break
        found[report_id] = kept[report_id]
    return found


def _readable(data: Mapping[str, str]) -> Iterable[ReportDocument]:
    for report_id, text in data.items():
        try:
            yield ReportDocument.parse(text, where=report_id)
        except AccessError:
            continue
