"""The environment's :class:`dr.run.record.Record`, in a ConfigMap beside the database."""

from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY
from dr.run.record import Record

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
