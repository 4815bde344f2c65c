"""The cloud as the old infrastructure made it: what stands in the stacks' files, made once, and known to no state yet.

It is what `dr` finds on its first day: made by the runbook's Terraform, with the names of `Pulumi.durable.yaml` and
`Pulumi.platform.yaml`, and permissions for the Clusters that the runbook names and no others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.gcp import resource_types
from lab.gcp.google import Google
from lab.gcp.kinds import Kind

Declared = Iterator[tuple[Kind, dict[str, Any]]]
_PREFIX = "postgres-dr:"


def settings(file: Path) -> dict[str, Any]:
    """The project's own keys in a stack's file."""
    found = yaml.safe_load(file.read_text())["config"]
    return {key.removeprefix(_PREFIX): value for key, value in found.items() if key.startswith(_PREFIX)}


def durable(stack: Mapping[str, Any]) -> Declared:
    """What the durable stack's file describes."""
    backup, project = stack["backup"], stack["gcpProject"]
    yield (
        resource_types.BUCKET,
        {
            "name": backup["bucket"],
            "project": project,
            "location": backup["location"],
            "uniformBucketLevelAccess": True,
            "publicAccessPrevention": "enforced",
            "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": backup["retentionDays"]}}],
        },
    )
    yield from _account(project, backup["account"], backup.get("accountTitle"))
    for role in ("roles/storage.objectAdmin", "roles/storage.legacyBucketReader"):
        member = _member(project, backup["account"])
        yield resource_types.BUCKET_MEMBER, {"bucket": backup["bucket"], "role": role, "member": member}


def platform(stack: Mapping[str, Any]) -> Declared:
    """What the platform stack's file describes."""
    project = stack["gcpProject"]
    yield from _network(stack)
    yield from _account(project, stack["nodeAccount"], None)
    for role in ("roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"):
        member = _member(project, stack["nodeAccount"])
        yield resource_types.PROJECT_MEMBER, {"project": project, "role": role, "member": member}
    yield from _cluster(stack)
    identity = stack["workloadIdentity"]
    email = f"{identity['account']}@{project}.iam.gserviceaccount.com"
    for database in identity["databases"]:
        for name in (database["sourceCluster"], database["recoveredCluster"]):
            yield (
                resource_types.ACCOUNT_MEMBER,
                {
                    "serviceAccountId": f"projects/{project}/serviceAccounts/{email}",
                    "role": "roles/iam.workloadIdentityUser",
                    "member": f"serviceAccount:{project}.svc.id.goog[{database['namespace']}/{name}]",
                },
            )


def _account(project: str, account: str, title: str | None) -> Declared:
    yield resource_types.ACCOUNT, {"accountId": account, "project": project, "displayName": title}


def _member(project: str, account: str) -> str:
    return f"serviceAccount:{account}@{project}.iam.gserviceaccount.com"


def _network(stack: Mapping[str, Any]) -> Declared:
    project, region, plan = stack["gcpProject"], stack["region"], stack["network"]
    place = {"project": project, "region": region}
    yield (
        resource_types.NETWORK,
        {"name": plan["name"], "project": project, "autoCreateSubnetworks": False, "routingMode": "REGIONAL"},
    )
    yield (
        resource_types.SUBNETWORK,
        {
            **place,
            "name": plan["subnet"],
            "network": plan["name"],
            "ipCidrRange": plan["nodes"],
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": plan["pods"]},
                {"rangeName": "services", "ipCidrRange": plan["services"]},
            ],
        },
    )
    yield resource_types.ROUTER, {**place, "name": plan["router"], "network": plan["name"]}
    yield (
        resource_types.NAT,
        {
            **place,
            "name": plan["nat"],
            "router": plan["router"],
            "natIpAllocateOption": "AUTO_ONLY",
            "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
        },
    )


def _cluster(stack: Mapping[str, Any]) -> Declared:
    project, plan = stack["gcpProject"], stack["cluster"]
    place = {"project": project, "location": plan.get("zone") or stack["region"]}
    yield (
        resource_types.CLUSTER,
        {
            **place,
            "name": plan["name"],
            "network": stack["network"]["name"],
            "subnetwork": stack["network"]["subnet"],
            "ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"},
            "workloadIdentityConfig": {"workloadPool": f"{project}.svc.id.goog"},
            "privateClusterConfig": {"enablePrivateNodes": True, "masterIpv4CidrBlock": plan["controlPlane"]},
            "controlPlaneEndpointsConfig": {"dnsEndpointConfig": {"allowExternalTraffic": True}},
            "releaseChannel": {"channel": plan.get("releaseChannel", "REGULAR")},
            "initialNodeCount": 1,
        },
    )
    email = f"{stack['nodeAccount']}@{project}.iam.gserviceaccount.com"
    for pool in stack["nodePools"]:
        yield (
            resource_types.NODE_POOL,
            {
                **place,
                "name": pool["name"],
                "cluster": plan["name"],
                "autoscaling": {"minNodeCount": pool["minNodes"], "maxNodeCount": pool["maxNodes"]},
                "nodeConfig": {
                    "machineType": pool["machineType"],
                    "spot": pool.get("spot", False),
                    "diskSizeGb": 100,
                    "diskType": "pd-balanced",
                    "serviceAccount": email,
                    "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
                    "workloadMetadataConfig": {"mode": "GKE_METADATA"},
                    "shieldedInstanceConfig": {"enableIntegrityMonitoring": True, "enableSecureBoot": True},
                },
                "management": {"autoRepair": True, "autoUpgrade": True},
            },
        )


def sow(google: Google, folder: Path) -> None:
    """Have the cloud hold what the stacks' files in `folder` describe, and nothing else."""
    for kind, inputs in (
        *durable(settings(folder / "Pulumi.durable.yaml")),
        *platform(settings(folder / "Pulumi.platform.yaml")),
    ):
        google.create(kind, inputs)
    with google.cloud.change() as contents:
        contents.calls.clear()
