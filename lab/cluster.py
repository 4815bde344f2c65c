"""Talking to the lab's API server: apply, wait, delete. Waiting is done with watches, in this one place."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import urllib3
from kubernetes.config import new_client_from_config
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, DynamicApiError, NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import ResourceList

from lab.errors import LabError
from lab.paths import State

MANAGER = "lab"
"""The field manager of everything the lab applies."""

WATCH_FOR = 3.0
"""Seconds that one watch lasts before another begins: so long may a cancelled wait go on."""

Document = dict[str, Any]
"""A Kubernetes object as its YAML says it."""


class Cluster:
    """The lab's cluster, as its administrator. Not for two threads at once: the library's client is not.

    Args:
        where: the lab.
        cancelled: when set, whatever waits raises LabError.
    """

    def __init__(self, where: State, cancelled: threading.Event | None = None) -> None:
        self._cancelled = cancelled or threading.Event()
        api = new_client_from_config(str(where.admin_kubeconfig))
        # Without a place of its own the client leaves its discovery cache in the machine's temporary folder.
        self._client = DynamicClient(api, cache_file=str(where.node / "discovery.json"))

    def apply(self, documents: Iterable[Document], patience: float = 60.0) -> None:
        """Apply objects on the server's side.

        Args:
            documents: the objects, in the order to apply them in.
            patience: seconds for which a refusal is tried again: a webhook of an operator that just started, or a kind
                whose definition was just made, is refused for a moment.

        Raises:
            LabError: still refused after that.
        """
        for document in documents:
            self._apply(document, time.monotonic() + patience)

    def _apply(self, document: Document, deadline: float) -> None:
        name = document["metadata"]["name"]
        while True:
            try:
                self.kind(document["apiVersion"], document["kind"]).server_side_apply(
                    body=document,
                    name=name,
                    namespace=document["metadata"].get("namespace"),
                    field_manager=MANAGER,
                    force_conflicts=True,
                )
            except (DynamicApiError, ResourceNotFoundError) as error:
                if time.monotonic() > deadline or getattr(error, "status", 500) in (400, 422):
                    raise LabError(f"applying {document['kind']} {name}", _reason(error), _REMEDY) from error
                self.pause(0.5)
            except urllib3.exceptions.HTTPError as error:
                if time.monotonic() > deadline:
                    raise LabError(f"applying {document['kind']} {name}", str(error), _REMEDY) from error
                self.pause(0.5)
            else:
                return

    def kind(self, api_version: str, kind: str) -> Any:
        """The dynamic client's resource of a kind."""
        return self._client.resources.get(api_version=api_version, kind=kind)

    def get(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Document | None:
        """One object, or None."""
        try:
            found: Document = self.kind(api_version, kind).get(name=name, namespace=namespace).to_dict()
        except NotFoundError:
            return None
        return found

    def list(self, api_version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Document]:
        """All objects of a kind, in one namespace or everywhere."""
        try:
            resource = self.kind(api_version, kind)
        except ResourceNotFoundError:
            return []
        found = resource.get(namespace=namespace, label_selector=selector).to_dict()
        items: list[Document] = found["items"]
        return items

    def list_all(self, namespace: str) -> Iterator[Document]:
        """Every object in a namespace, of whatever kind; but for events, which only tell of the others."""
        for resource in self._client.resources.search(namespaced=True):
            if isinstance(resource, ResourceList) or "list" not in resource.verbs or resource.kind == "Event":
                continue
            for item in self.list(resource.group_version, resource.kind, namespace):
                yield {**item, "apiVersion": resource.group_version, "kind": resource.kind}

    def patch(self, found: Document, change: Document) -> bool:
        """Merge `change` into an object; False if it is gone, or (if `change` names a version) is another by now."""
        resource = self.kind(found["apiVersion"], found["kind"])
        metadata = found["metadata"]
        try:
            resource.patch(
                body=change,
                name=metadata["name"],
                namespace=metadata.get("namespace"),
                content_type="application/merge-patch+json",
                field_manager=MANAGER,
            )
        except (NotFoundError, ConflictError):
            return False
        return True

    def delete(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        orphan: bool = False,
    ) -> None:
        """Ask for an object to be deleted, with what it owns unless `orphan`; one that is gone is no error."""
        body: Document = {} if grace is None else {"gracePeriodSeconds": grace}
        if orphan:
            body["propagationPolicy"] = "Orphan"
        try:
            self.kind(api_version, kind).delete(name=name, namespace=namespace, body=body)
        except NotFoundError:
            return

    def wait(
        self,
        api_version: str,
        kind: str,
        name: str,
        namespace: str | None,
        until: Callable[[Document], bool],
        *,
        timeout: float,
        what: str,
        explain: Callable[[Document], str] = lambda found: str(found.get("status", {})),
    ) -> Document:
        """Watch one object until it is as wanted.

        Args:
            api_version: of the object, which need not exist yet.
            kind: of the object.
            name: of the object.
            namespace: None for a kind without.
            until: may raise LabError if it will never be.
            timeout: seconds.
            what: what the waiting is for, in the words of a failure.
            explain: says of the last state what is missing.

        Raises:
            LabError: not within `timeout`.
        """
        resource = self.kind(api_version, kind)
        deadline = time.monotonic() + timeout
        last: Document = {}
        while (left := deadline - time.monotonic()) > 0:
            try:
                events = resource.watch(
                    namespace=namespace,
                    field_selector=f"metadata.name={name}",
                    timeout=max(1, int(min(left, WATCH_FOR))),
                )
                for event in events:
                    last = event["object"].to_dict()
                    if event["type"] != "DELETED" and until(last):
                        return last
            except (DynamicApiError, urllib3.exceptions.HTTPError):
                self.pause(0.2)
            self.pause(0)
        seen = explain(last) if last else f"there is no {kind} {name}"
        raise LabError(what, f"not within {timeout:.0f} s; last seen: {seen}", _REMEDY)

    def pause(self, seconds: float) -> None:
        """Sleep, unless cancelled.

        Raises:
            LabError: cancelled.
        """
        if self._cancelled.wait(seconds):
            raise LabError("waiting for the cluster", "it was cancelled", "run the command again")

    def wait_absent(self, api_version: str, kind: str, name: str, *, timeout: float, what: str) -> None:
        """Wait until there is no such object; it is of a kind without namespaces.

        Raises:
            LabError: not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (found := self.get(api_version, kind, name)) is not None:
            if time.monotonic() > deadline:
                raise LabError(what, f"still there after {timeout:.0f} s: {found.get('status')}", _REMEDY)
            self.pause(0.2)

    def wait_gone(self, api_version: str, kind: str, namespace: str | None, *, timeout: float, what: str) -> None:
        """Wait until there is no object of this kind (in the namespace).

        Raises:
            LabError: not within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while left := self.list(api_version, kind, namespace):
            if time.monotonic() > deadline:
                names = ", ".join(item["metadata"]["name"] for item in left)
                raise LabError(what, f"still there after {timeout:.0f} s: {names}", _REMEDY)
            self.pause(0.2)


_REMEDY = "look at it: `python -m lab exec -- kubectl --context lab-dev get events -A --sort-by .lastTimestamp`"


def condition(document: Document, kind: str) -> str:
    """The status of a condition: `True`, `False`, `Unknown`, or empty if it is not there."""
    for found in (document.get("status") or {}).get("conditions") or []:
        if found["type"] == kind:
            return str(found["status"])
    return ""


def _reason(error: Exception) -> str:
    summary = getattr(error, "summary", None)
    return str(summary()) if callable(summary) else str(error)
