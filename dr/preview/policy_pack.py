"""The guard as Pulumi's policy pack uses it: each resource before it is done, and in the end what would go.

The pack is started by Pulumi for each preview and each update, with the stack's configuration.

Pulumi shows a policy pack what is declared, one resource after the other, and never what goes. With the state as well
both are known. Whether a change replaces a resource is the provider's word, which is not known here: it is taken from
what names a thing, for the types that the guard knows.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dr.config.environment import Environment, Override
from dr.config.infrastructure import StackConfig
from dr.config.load import load_environment, load_part
from dr.config.stack_file import PROJECT
from dr.engine.backend import state_folder
from dr.engine.changes import PROVIDER_PREFIX, STACK_TYPE, Change, Changes, Op, PathChange, differing, masked, value_at
from dr.engine.processes import this_process
from dr.engine.workspace import export_state
from dr.guard.check import observe
from dr.guard.rules import Seen, Violation, override_of, violations
from dr.kube.api import KubernetesApi
from dr.run.session import Session, utc_now

_UNKNOWN = "[known later]"
_UNSEEN = "the Clusters in it are not looked at by a stack of the infrastructure"


class PackGuard:
    """The guard over one run of Pulumi. ``project`` is the folder of the stacks' files."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._stack = ""

    def of_resource(self, urn: str, kind: str, inputs: Mapping[str, Any]) -> list[str]:
        """Which rules forbid creating or changing one resource, in words."""
        self._stack = _stack_of(urn)
        if kind == STACK_TYPE or kind.startswith(PROVIDER_PREFIX):
            return []
        change = declared_change(self._state, urn, kind, inputs)
        return [] if change.op is Op.KEEP else self._judged(Changes(stack=self._stack, items=(change,)))

    def of_stack(self, declared: Collection[str]) -> list[str]:
        """Which rules forbid what goes, once all that is ``declared`` is known, in words."""
        self._stack = _stack_of(next(iter(declared)))
        return self._judged(going(self._stack, self._state, declared))

    def _judged(self, changes: Changes) -> list[str]:
        if not changes.items:
            return []
        found = violations(changes, self._seen(changes))
        overrides, now = self._overrides, utc_now()
        left: list[str] = []
        for violation in found:
            if used := override_of(violation, overrides, now=now):
                self._write_down(violation, used, now)
            else:
                left.append(f"{violation.rule}: {violation.cause}. {violation.remedy}")
        return left

    def _seen(self, changes: Changes) -> Seen:
        if self._session is None:
            return Seen(unobserved=_UNSEEN)
        return observe(self._session, changes)

    @cached_property
    def _state(self) -> Mapping[str, Mapping[str, Any]]:
        """The state before. An update that is under way writes into it, so it is read once, at the beginning."""
        return state_resources(export_state(f"organization/{PROJECT}/{self._stack}"))

    @cached_property
    def _holds(self) -> StackConfig | Environment:
        """What the stack's file says that it is of."""
        return load_part(self._stack, self._project) or load_environment(self._stack, self._project)

    @cached_property
    def _session(self) -> Session | None:
        """The environment whose recovery stack this is; None for the infrastructure."""
        if not isinstance(self._holds, Environment):
            return None
        return Session(
            environment=self._holds,
            api=KubernetesApi(self._holds.kubernetes, self._holds.commands),
            holder=this_process(),
        )

    @property
    def _overrides(self) -> Sequence[Override]:
        return [given.override for given in self._holds.overrides]

    def _write_down(self, violation: Violation, used: Override, at: datetime) -> None:
        """An override that counted, in the journal of this machine; it stands in the configuration with its reason."""
        path = state_folder() / "journal" / f"{self._stack}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {
            "at": at.isoformat(),
            "event": "guard-overridden",
            "operation": "pulumi",
            "environment": self._stack,
            "user": this_process().operator,
            "danger": violation.as_json(),
            "reason": used.reason,
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _stack_of(urn: str) -> str:
    return urn.removeprefix("urn:pulumi:").split("::")[0]


def plain(value: Any) -> Any:
    """What Pulumi hands to a policy, as plain values: it raises where something is asked that a preview cannot know."""
    if isinstance(value, Mapping):
        return {str(key): _known(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_known(value, index) for index in range(len(value))]
    return value


def _known(holder: Any, key: Any) -> Any:
    try:
        return plain(holder[key])
    except Exception as error:
        if type(error).__name__ != "UnknownValueError":
            raise
        return _UNKNOWN


_NAMING = {
    "kubernetes:": ("apiVersion", "kind", "metadata.name", "metadata.namespace"),
    "gcp:storage/bucket:Bucket": ("name", "location", "project", "customPlacementConfig"),
    "gcp:serviceaccount/account:Account": ("accountId", "project"),
    "gcp:container/cluster:Cluster": ("name", "location", "project", "network", "subnetwork"),
    "gcp:storage/bucketIAM": ("bucket", "role", "member", "members", "condition"),
    "gcp:serviceaccount/iAM": ("serviceAccountId", "role", "member", "members", "condition"),
}
"""What of a resource cannot be changed in place, by the beginning of its type."""


def state_resources(deployment: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The resources of an exported state by their URN, without the stack, the providers, and what waits to go."""
    return {
        str(resource["urn"]): resource
        for resource in deployment.get("resources") or ()
        if resource["type"] != STACK_TYPE
        and not str(resource["type"]).startswith(PROVIDER_PREFIX)
        and not resource.get("delete")
    }


def declared_change(state: Mapping[str, Mapping[str, Any]], urn: str, kind: str, inputs: Mapping[str, Any]) -> Change:
    """What becomes of the resource ``urn`` when it is declared with ``inputs``."""
    known = state.get(urn)
    after = masked(inputs, kind=kind)
    if known is None:
        return Change(op=Op.CREATE, type=kind, urn=urn, after=after)
    before = masked(_without_own(known.get("inputs") or {}), kind=kind)
    after = _without_own(after)
    naming = next((paths for prefix, paths in _NAMING.items() if kind.startswith(prefix)), ())
    replacing = {path for path in naming if value_at(before, path) != value_at(after, path)}
    paths = tuple(
        PathChange(
            path=path,
            kind="update",
            replaces=path in replacing,
            before=value_at(before, path),
            after=value_at(after, path),
        )
        for path in differing(before, after)
    )
    op = Op.REPLACE if replacing else Op.UPDATE if paths else Op.KEEP
    return Change(
        op=op,
        type=kind,
        urn=urn,
        before=before,
        after=after,
        paths=paths,
        id=str(known.get("id") or ""),
        protected=bool(known.get("protect")),
        retained=bool(known.get("retainOnDelete")),
    )


def going(stack: str, state: Mapping[str, Mapping[str, Any]], declared: Iterable[str]) -> Changes:
    """What is in the state and not declared any more."""
    left = set(declared)
    return Changes(stack=stack, items=tuple(_gone(urn, resource) for urn, resource in state.items() if urn not in left))


def _gone(urn: str, resource: Mapping[str, Any]) -> Change:
    retained = bool(resource.get("retainOnDelete"))
    kind = str(resource["type"])
    return Change(
        op=Op.FORGET if retained else Op.DELETE,
        type=kind,
        urn=urn,
        before=masked(_without_own(resource.get("inputs") or {}), kind=kind),
        id=str(resource.get("id") or ""),
        protected=bool(resource.get("protect")),
        retained=retained,
    )


def _without_own(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without what providers keep for themselves, such as ``__defaults``, at any depth."""
    return {
        key: _without_own(value) if isinstance(value, Mapping) else value
        for key, value in inputs.items()
        if not str(key).startswith("__")
    }
