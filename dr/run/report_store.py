"""The reports of drills in the environment's own cluster: a drill may run in a pod, which is gone afterwards."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY
from dr.reports.document import ReportDocument

KEPT = 30
_BYTES = 800 * 1024
"""A ConfigMap holds one MiB."""
_TRIES = 3
_CONFLICT = 409


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
