"""What Google demands of a resource beside its own properties: what it refers to, what stands on it, what is left."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from itertools import chain

from lab.gcp import errors, resource_types
from lab.gcp.cloud import Contents, Values
from lab.gcp.kinds import Kind, last_word

Rule = Callable[[Contents, Values], None]
"""Raises GoogleError, or changes what changes with it."""

_ACCOUNT = "serviceAccount:"
_POOL_SUFFIX = ".svc.id.goog"
_MEMBERS = (resource_types.BUCKET_MEMBER, resource_types.ACCOUNT_MEMBER, resource_types.PROJECT_MEMBER)


def require_references(contents: Contents, kind: Kind, properties: Values) -> None:
    """Raise GoogleError unless everything that it names is there."""
    for name, token in kind.references.items():
        named = properties.get(name)
        if named and not any(names(str(named), there) for there in contents.of(token)):
            raise errors.not_found(str(named))


def names(reference: str, key: str) -> bool:
    """Whether a reference (a name, an ID or a URL) means the resource of this ID."""
    return reference.endswith(key) if "/" in reference and "/" in key else last_word(reference) == last_word(key)


def require_member(contents: Contents, member: str) -> None:
    """Raise GoogleError unless the account or the identity pool that it names is there."""
    name = member.removeprefix(_ACCOUNT)
    if not member.startswith(_ACCOUNT):
        return
    pool = name.split("[")[0]
    if pool.endswith(_POOL_SUFFIX) and pool not in contents.pools:
        raise errors.no_such_pool(pool)
    accounts = {found["email"] for found in contents.of(resource_types.ACCOUNT.token).values()}
    if name.endswith(f"@{contents.project}.iam.gserviceaccount.com") and name not in accounts:
        raise errors.no_such_account(name)


def _create_bucket(contents: Contents, bucket: Values) -> None:
    if bucket["name"] in contents.elsewhere:
        message = (
            "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
            "Please select a different name and try again."
        )
        raise errors.GoogleError(409, message, "conflict")


def _create_member(contents: Contents, binding: Values) -> None:
    require_member(contents, binding["member"])


def _create_account(contents: Contents, account: Values) -> None:
    contents.uids += 1
    account["uniqueId"] = str(100_000_000_000_000_000_000 + contents.uids)


def _delete_account(contents: Contents, account: Values) -> None:
    """What was bound to it is bound to nobody: a new account of the same name is another one."""
    gone = f"deleted:{account['member']}?uid={account['uniqueId']}"
    for kind in _MEMBERS:
        there = contents.of(kind.token)
        for key, binding in list(there.items()):
            if binding["member"] == account["member"]:
                del there[key]
                there[kind.id_of({**binding, "member": gone})] = {**binding, "member": gone}
    there = contents.of(resource_types.ACCOUNT_MEMBER.token)
    for key in [key for key in there if key.startswith(f"{account['name']}/")]:
        del there[key]


def _create_subnetwork(contents: Contents, subnetwork: Values) -> None:
    for given in _ranges(subnetwork):
        try:
            wanted = ipaddress.ip_network(given)
        except ValueError:
            raise errors.invalid(f"Invalid value for field 'resource.ipCidrRange': '{given}'.") from None
        for other in contents.of(resource_types.SUBNETWORK.token).values():
            if last_word(other["network"]) != last_word(subnetwork["network"]) or other["name"] == subnetwork["name"]:
                continue
            for taken in _ranges(other):
                if wanted.overlaps(ipaddress.ip_network(taken)):
                    message = f"Invalid IPCidrRange: {given} conflicts with existing subnetwork '{other['name']}'"
                    raise errors.invalid(f"{message} in region '{other['region']}'.")


def _ranges(subnetwork: Values) -> list[str]:
    secondary = [found["ipCidrRange"] for found in subnetwork.get("secondaryIpRanges") or []]
    return [subnetwork["ipCidrRange"], *secondary]


def _create_cluster(contents: Contents, cluster: Values) -> None:
    if pool := (cluster.get("workloadIdentityConfig") or {}).get("workloadPool"):
        if pool != f"{contents.project}{_POOL_SUFFIX}":
            raise errors.invalid(f"Workload pool '{pool}' is not of project {contents.project}.")
        contents.pools[:] = sorted({*contents.pools, pool})
    subnetwork = _named(contents, resource_types.SUBNETWORK, cluster.get("subnetwork"))
    there = {found["rangeName"] for found in subnetwork.get("secondaryIpRanges") or []}
    policy = cluster.get("ipAllocationPolicy") or {}
    for name in ("clusterSecondaryRangeName", "servicesSecondaryRangeName"):
        if (wanted := policy.get(name)) and wanted not in there:
            raise errors.invalid(f'Pod secondary range "{wanted}" does not exist in network.')


def _create_pool(contents: Contents, pool: Values) -> None:
    account = (pool.get("nodeConfig") or {}).get("serviceAccount")
    if account:
        require_member(contents, _ACCOUNT + str(account))


def _delete_cluster(contents: Contents, cluster: Values) -> None:
    pools = contents.of(resource_types.NODE_POOL.token)
    for key in [key for key in pools if key.startswith(resource_types.CLUSTER.id_of(cluster) + "/")]:
        del pools[key]


def _delete_router(contents: Contents, router: Values) -> None:
    nats = contents.of(resource_types.NAT.token)
    place = (router["region"], router["name"])
    for key in [key for key, nat in nats.items() if (nat["region"], last_word(nat["router"])) == place]:
        del nats[key]


def _delete_bucket(contents: Contents, bucket: Values) -> None:
    members = contents.of(resource_types.BUCKET_MEMBER.token)
    for key in [key for key, binding in members.items() if binding["bucket"] == bucket["name"]]:
        del members[key]


def _unused(kind: Kind, by: tuple[Kind, ...], name: str) -> Rule:
    def require(contents: Contents, properties: Values) -> None:
        users = chain.from_iterable(((user, found) for found in contents.of(user.token).values()) for user in by)
        for user, found in users:
            if last_word(str(found.get(name, ""))) == properties["name"]:
                raise errors.in_use(kind.id_of(properties), user.id_of(found))

    return require


def _named(contents: Contents, kind: Kind, reference: str | None) -> Values:
    there = contents.of(kind.token).items()
    return next((found for key, found in there if names(reference or "", key)), {})


ON_CREATE: dict[str, Rule] = {
    resource_types.BUCKET.token: _create_bucket,
    **{kind.token: _create_member for kind in _MEMBERS},
    resource_types.ACCOUNT.token: _create_account,
    resource_types.SUBNETWORK.token: _create_subnetwork,
    resource_types.CLUSTER.token: _create_cluster,
    resource_types.NODE_POOL.token: _create_pool,
}
ON_UPDATE: dict[str, Rule] = {resource_types.SUBNETWORK.token: _create_subnetwork}
ON_DELETE: dict[str, Rule] = {
    resource_types.BUCKET.token: _delete_bucket,
    resource_types.ACCOUNT.token: _delete_account,
    resource_types.NETWORK.token: _unused(
        resource_types.NETWORK, (resource_types.SUBNETWORK, resource_types.ROUTER, resource_types.CLUSTER), "network"
    ),
    resource_types.SUBNETWORK.token: _unused(resource_types.SUBNETWORK, (resource_types.CLUSTER,), "subnetwork"),
    resource_types.ROUTER.token: _delete_router,
    resource_types.CLUSTER.token: _delete_cluster,
}
"""By the token of the type."""
