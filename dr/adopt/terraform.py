"""A Terraform state, version 4, as what it says about resources of Google's, and how that fits the stacks.

Only what names a resource is read: attributes can be secrets, and none is kept or shown. A resource is known by what
Google knows it by, not by its address, so it does not matter how the old configuration was cut into modules.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dr.core.errors import Problem, RefusedError, RequestError
from dr.stacks import resources as kinds
from dr.stacks.resources import CloudResource

_VERSION = 4
_OF_A_NAME = {
    kinds.BUCKET,
    kinds.ACCOUNT,
    kinds.VPC,
    kinds.SUBNET,
    kinds.ROUTER,
    kinds.NAT,
    kinds.CLUSTER,
    kinds.NODE_POOL,
}
"""The kinds whose names are chosen: another name than the configuration's is a contradiction, not something else."""

Attributes = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TerraformResource:
    """One resource that Terraform holds. ``identity`` is its import ID, empty for a kind that no stack has; ``kind`` is
    Pulumi's type for it, Terraform's where there is none.
    """

    address: str
    kind: str
    identity: str = ""
    fault: str = ""
    """Why it cannot be taken over as it is."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A resource of a stack, and the one of Terraform's that it is."""

    resource: CloudResource
    held: TerraformResource


@dataclass(frozen=True, kw_only=True)
class TerraformFit:
    """How a Terraform state fits the stacks. ``unknown`` is what Terraform holds and no stack declares; ``missing``
    what a stack declares and Terraform does not hold.
    """

    matches: tuple[Match, ...]
    missing: tuple[CloudResource, ...]
    unknown: tuple[TerraformResource, ...]


def read_terraform(text: str) -> tuple[TerraformResource, ...]:
    """All managed resources of a state file. Raises RequestError ``terraform-state-unreadable``."""
    try:
        document = json.loads(text)
        version = document["version"]
        if version != _VERSION:
            raise _unreadable(f"it is of version {version}, and not {_VERSION}")
        return tuple(held for block in document["resources"] if block["mode"] == "managed" for held in _held(block))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(f"it has not the shape of one: {type(error).__name__} {error}") from error


def fit(
    held: Sequence[TerraformResource], resources: Sequence[CloudResource], *, left: Collection[str] = ()
) -> TerraformFit:
    """How ``held`` fits the ``resources`` of both stacks. ``left`` are the addresses that are none of theirs. Raises
    RefusedError with every contradiction: a chosen name that is another one, a thing that two addresses claim, one
    that Terraform itself would not leave as it is.
    """
    wanted = {(resource.type, resource.import_id): resource for resource in resources}
    known: dict[str, list[TerraformResource]] = {}
    unknown: list[TerraformResource] = []
    for one in held:
        resource = wanted.get((one.kind, one.identity))
        if resource is None:
            unknown.append(one)
        else:
            known.setdefault(resource.name, []).append(one)
    missing = tuple(resource for resource in resources if resource.name not in known)
    problems = [
        *_claimed_twice(known, resources),
        *_unfit(known),
        *_named_otherwise(missing, [one for one in unknown if one.address not in left]),
    ]
    if problems:
        raise RefusedError(problems)
    return TerraformFit(
        matches=tuple(
            Match(resource=resource, held=known[resource.name][0]) for resource in resources if resource.name in known
        ),
        missing=missing,
        unknown=tuple(unknown),
    )


def _claimed_twice(
    known: Mapping[str, list[TerraformResource]], resources: Sequence[CloudResource]
) -> Iterator[Problem]:
    for resource in resources:
        if len(found := known.get(resource.name, [])) > 1:
            yield Problem(
                code="terraform-contradiction",
                cause=f"Terraform holds {resource.title} twice: {' and '.join(one.address for one in found)}",
                remedy="take one of them out of its state: terraform state rm ADDRESS",
            )


def _unfit(known: Mapping[str, list[TerraformResource]]) -> Iterator[Problem]:
    for found in known.values():
        for one in found:
            if one.fault:
                yield Problem(
                    code="terraform-contradiction",
                    cause=f"{one.address} {one.fault}",
                    remedy="bring Terraform to rest first: terraform plan must report no changes",
                )


def _named_otherwise(missing: Iterable[CloudResource], unknown: Sequence[TerraformResource]) -> Iterator[Problem]:
    for resource in missing:
        others = [one for one in unknown if one.kind == resource.type and one.identity]
        if resource.type in _OF_A_NAME and others:
            told = ", ".join(f"{one.address} is {one.identity}" for one in others)
            yield Problem(
                code="terraform-contradiction",
                cause=f"the stack has {resource.title} ({resource.import_id}), and Terraform has another: {told}",
                remedy="write the names, the project and the region that are there into the stack's file; what has "
                "nothing to do with it is passed over with --leave ADDRESS",
            )


def _held(block: Mapping[str, Any]) -> Iterator[TerraformResource]:
    kind, identify = _KINDS.get(block["type"], (block["type"], _nobody))
    base = f"{block['module']}." if block.get("module") else ""
    for instance in block["instances"]:
        index = instance.get("index_key")
        address = f"{base}{block['type']}.{block['name']}{'' if index is None else f'[{json.dumps(index)}]'}"
        for identity in identify(instance["attributes"]) or [""]:
            yield TerraformResource(address=address, kind=kind, identity=identity, fault=_fault(instance))


def _fault(instance: Mapping[str, Any]) -> str:
    if instance.get("deposed"):
        return "is deposed: Terraform has replaced it, and has yet to delete it"
    if instance.get("status"):
        return f"is {instance['status']}: Terraform would replace it"
    return "has a condition, which the stack's grant has not" if instance["attributes"].get("condition") else ""


def _nobody(_: Attributes) -> list[str]:
    return []


def _members(of: Callable[[Attributes], str]) -> Callable[[Attributes], list[str]]:
    """One identity for each member: a binding has several, and each is a grant of its own in a stack."""

    def identify(found: Attributes) -> list[str]:
        members = [found["member"]] if "member" in found else found["members"]
        return [f"{of(found)} {found['role']} {member}" for member in members]

    return identify


def _one(identity: str) -> Callable[[Attributes], list[str]]:
    return lambda found: [identity.format_map(found)]


def _pool(found: Attributes) -> list[str]:
    return ["{project}/{location}/{0}/{name}".format(found["cluster"].rsplit("/", 1)[-1], **found)]


_bucket_members = _members(lambda found: f"b/{found['bucket'].removeprefix('b/')}")
_account_members = _members(lambda found: str(found["service_account_id"]))
_project_members = _members(lambda found: str(found["project"]))

_KINDS: Mapping[str, tuple[str, Callable[[Attributes], list[str]]]] = {
    "google_storage_bucket": (kinds.BUCKET, _one("{name}")),
    "google_storage_bucket_iam_member": (kinds.BUCKET_MEMBER, _bucket_members),
    "google_storage_bucket_iam_binding": (kinds.BUCKET_MEMBER, _bucket_members),
    "google_service_account": (kinds.ACCOUNT, _one("projects/{project}/serviceAccounts/{email}")),
    "google_service_account_iam_member": (kinds.ACCOUNT_MEMBER, _account_members),
    "google_service_account_iam_binding": (kinds.ACCOUNT_MEMBER, _account_members),
    "google_project_iam_member": (kinds.PROJECT_MEMBER, _project_members),
    "google_project_iam_binding": (kinds.PROJECT_MEMBER, _project_members),
    "google_compute_network": (kinds.VPC, _one("projects/{project}/global/networks/{name}")),
    "google_compute_subnetwork": (kinds.SUBNET, _one("projects/{project}/regions/{region}/subnetworks/{name}")),
    "google_compute_router": (kinds.ROUTER, _one("projects/{project}/regions/{region}/routers/{name}")),
    "google_compute_router_nat": (kinds.NAT, _one("projects/{project}/regions/{region}/routers/{router}/{name}")),
    "google_container_cluster": (kinds.CLUSTER, _one("projects/{project}/locations/{location}/clusters/{name}")),
    "google_container_node_pool": (kinds.NODE_POOL, _pool),
}
"""Terraform's types -> Pulumi's, and how the import IDs follow from the attributes."""


def _unreadable(cause: str) -> RequestError:
    return RequestError(
        "terraform-state-unreadable",
        f"that is not a Terraform state: {cause}",
        "write one with `terraform state pull > FILE` in infrastructure/gcp; that takes it from wherever it is kept",
    )
