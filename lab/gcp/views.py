"""How Google's REST APIs show what is in the cloud: other names than the provider's schema has, and other nesting."""

from __future__ import annotations

from typing import Any

from lab.gcp import resource_types
from lab.gcp.cloud import Contents, Values
from lab.gcp.errors import PROJECT_NUMBER
from lab.gcp.kinds import Kind, last_word

Document = dict[str, Any]


def bucket(found: Values) -> Document:
    """A bucket of the Storage API."""
    soft = found["softDeletePolicy"]
    return _given(
        {
            "kind": "storage#bucket",
            "id": found["name"],
            "name": found["name"],
            "projectNumber": str(PROJECT_NUMBER),
            "location": found["location"],
            "locationType": "region" if "-" in found["location"] else "multi-region",
            "rpo": found.get("rpo"),
            "storageClass": found["storageClass"],
            "timeCreated": found["timeCreated"],
            "labels": found.get("labels"),
            "versioning": found.get("versioning"),
            "softDeletePolicy": {**soft, "retentionDurationSeconds": str(soft["retentionDurationSeconds"])},
            "lifecycle": {"rule": found["lifecycleRules"]} if found.get("lifecycleRules") else None,
            "iamConfiguration": {
                "uniformBucketLevelAccess": {"enabled": found["uniformBucketLevelAccess"]},
                "publicAccessPrevention": found["publicAccessPrevention"],
            },
        }
    )


def account(found: Values) -> Document:
    """A service account of the IAM API."""
    plain = {name: found.get(name) for name in ("name", "uniqueId", "email", "displayName", "description")}
    return _given({**plain, "projectId": found["project"], "disabled": found["disabled"] or None})


def network(found: Values) -> Document:
    """A network of the Compute API."""
    plain = {name: found.get(name) for name in ("name", "description", "selfLink", "autoCreateSubnetworks", "mtu")}
    return _given(
        {
            "kind": "compute#network",
            "id": found["numericId"],
            **plain,
            "routingConfig": {"routingMode": found["routingMode"]},
        }
    )


def subnetwork(found: Values) -> Document:
    """A subnetwork of the Compute API."""
    names = ("name", "network", "ipCidrRange", "secondaryIpRanges", "privateIpGoogleAccess", "selfLink", "purpose")
    return _given({"kind": "compute#subnetwork", **{name: found.get(name) for name in names}, "region": _region(found)})


def router(contents: Contents, found: Values) -> Document:
    """A router of the Compute API, with its NATs."""
    names = ("name", "natIpAllocateOption", "sourceSubnetworkIpRangesToNat", "logConfig")
    nats = [
        _given({name: nat.get(name) for name in names})
        for nat in contents.of(resource_types.NAT.token).values()
        if (nat["region"], last_word(nat["router"])) == (found["region"], found["name"])
    ]
    plain = {name: found.get(name) for name in ("name", "network", "selfLink", "bgp")}
    return _given({"kind": "compute#router", **plain, "region": _region(found), "nats": nats or None})


def cluster(found: Values) -> Document:
    """A cluster of the Kubernetes Engine API. It has no endpoint until it runs."""
    names = (
        *("name", "location", "network", "subnetwork", "endpoint", "masterAuth", "ipAllocationPolicy", "selfLink"),
        *("workloadIdentityConfig", "privateClusterConfig", "controlPlaneEndpointsConfig", "releaseChannel"),
        *("initialNodeCount", "resourceLabels", "maintenancePolicy"),
    )
    status = "RUNNING" if found.get("endpoint") else "PROVISIONING"
    plain = {name: found.get(name) for name in names}
    return _given({**plain, "status": status, "currentMasterVersion": found["masterVersion"]})


def node_pool(found: Values) -> Document:
    """A node pool of the Kubernetes Engine API."""
    config = found.get("nodeConfig")
    plain = {name: found.get(name) for name in ("name", "autoscaling", "management", "initialNodeCount", "version")}
    if plain["autoscaling"]:
        plain["autoscaling"] = {"enabled": True, **plain["autoscaling"]}
    return _given({**plain, "config": config, "locations": found.get("nodeLocations"), "status": "RUNNING"})


def policy(contents: Contents, kind: Kind, **of: str) -> Document:
    """What is granted to whom on one resource."""
    members: dict[str, list[str]] = {}
    for binding in contents.of(kind.token).values():
        if all(binding[name] == value for name, value in of.items()):
            members.setdefault(binding["role"], []).append(binding["member"])
    bindings = [{"role": role, "members": sorted(who)} for role, who in sorted(members.items())]
    return {"version": 1, "etag": "BwYAAAAAAAA=", "bindings": bindings}


def _region(found: Values) -> str:
    return f"{resource_types.COMPUTE}projects/{found['project']}/regions/{found['region']}"


def _given(document: Document) -> Document:
    return {name: value for name, value in document.items() if value is not None}
