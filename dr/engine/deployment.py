"""A stack's state as Pulumi exports it, read and rewritten as a value. Nothing that it tells of is ever touched."""

from collections.abc import Collection, Mapping
from copy import deepcopy
from typing import Any

from dr.engine.changes import PROVIDER_PREFIX, STACK_TYPE

_OF_THE_STACK = (STACK_TYPE, PROVIDER_PREFIX)


def held(deployment: Mapping[str, Any]) -> dict[str, str]:
    """The IDs of the resources that a provider knows, by their URNs. What is only waiting for its deletion is none."""
    return {
        resource["urn"]: resource["id"]
        for resource in deployment.get("resources") or ()
        if resource.get("custom")
        and resource.get("id")
        and not resource.get("delete")
        and not _is_of_the_stack(resource)
    }


def emptied(deployment: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The state with the stack itself and its providers, and nothing else; the stack's outputs become ``outputs``."""
    kept = (resource for resource in deployment.get("resources") or () if _is_of_the_stack(resource))
    return {
        **deployment,
        "resources": [
            {**resource, "outputs": dict(outputs)} if resource["type"] == STACK_TYPE else resource for resource in kept
        ],
    }


def without(deployment: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    """The state without ``urns``, protected or not, and without a word of them in what stays: Pulumi refuses a state in
    which a resource depends on one that is not there.
    """
    resources = [
        _not_naming(resource, urns) for resource in deployment.get("resources") or () if resource["urn"] not in urns
    ]
    pending = [
        operation
        for operation in deployment.get("pending_operations") or ()
        if operation.get("resource", {}).get("urn") not in urns
    ]
    kept = {key: value for key, value in deployment.items() if key != "pending_operations"}
    return {**kept, "resources": resources, **({"pending_operations": pending} if pending else {})}


def _not_naming(resource: Mapping[str, Any], urns: Collection[str]) -> dict[str, Any]:
    changed = deepcopy(dict(resource))
    if "dependencies" in changed:
        changed["dependencies"] = [urn for urn in changed["dependencies"] or () if urn not in urns]
    if "propertyDependencies" in changed:
        changed["propertyDependencies"] = {
            name: [urn for urn in found or () if urn not in urns]
            for name, found in (changed["propertyDependencies"] or {}).items()
        }
    if changed.get("deletedWith") in urns:
        del changed["deletedWith"]
    return changed


def _is_of_the_stack(resource: Mapping[str, Any]) -> bool:
    return str(resource["type"]).startswith(_OF_THE_STACK)
