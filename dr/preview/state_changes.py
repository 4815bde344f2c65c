"""What would change, from the state of a stack and what is declared: for the policy pack, which gets no preview.

Pulumi shows a policy pack what is declared, one resource after the other, and never what goes. With the state beside it
both can be told. Whether a change replaces a resource is the provider's word, which is not known here: it is taken from
what names a thing, for the types that the guard knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dr.engine.changes import PROVIDER_PREFIX, STACK_TYPE, Change, Changes, Op, PathChange
from dr.engine.property_path import differing, masked, value_at

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
