"""Every type that the infrastructure stacks declare, as data; what none of them declares is not known here."""

from __future__ import annotations

import hashlib

from pulumi_gcp import compute, container, projects, serviceaccount, storage

from lab.gcp.cloud import Values
from lab.gcp.errors import PROJECT_NUMBER
from lab.gcp.kinds import DELETE, DELETION_POLICY, Kind
from lab.gcp.shapes import names_of

COMPUTE = "https://www.googleapis.com/compute/v1/"
_NAME = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
_MADE = "2026-01-05T09:00:00.000-08:00"
_KEPT = {DELETION_POLICY: DELETE}


def _at(path: str, properties: Values) -> Values:
    return {"selfLink": COMPUTE + path.format(**properties)}


def _hashed(*words: object) -> str:
    return hashlib.sha256("/".join(map(str, words)).encode()).hexdigest()


def email_of(properties: Values) -> str:
    """Of a service account."""
    return f"{properties['accountId']}@{properties['project']}.iam.gserviceaccount.com"


BUCKET = Kind(
    resource=storage.Bucket,
    args=storage.BucketArgs,
    api="storage.googleapis.com",
    permission="storage.buckets",
    id="{name}",
    imports=("{project}/{name}",),
    fixed=frozenset({"name", "project", "location", "customPlacementConfig", "enableObjectRetention"}),
    defaults={"storageClass": "STANDARD"},
    by_server=frozenset(
        {
            *("project", "publicAccessPrevention", "uniformBucketLevelAccess", "rpo", "softDeletePolicy"),
            *("softDeletePolicy.retentionDurationSeconds", "softDeletePolicy.effectiveTime", "versioning"),
            "lifecycleRules.condition.withState",
        }
    ),
    by_provider={"forceDestroy": False, **_KEPT},
    names={"name": r"(?!goog)(?!.*google)[a-z0-9][-a-z0-9_.]{1,61}[a-z0-9]"},
    quota="BUCKETS",
    outputs=lambda found: {
        "publicAccessPrevention": found.get("publicAccessPrevention", "inherited"),
        "uniformBucketLevelAccess": found.get("uniformBucketLevelAccess", False),
        "softDeletePolicy": {
            "retentionDurationSeconds": 604800,
            "effectiveTime": _MADE,
            **found.get("softDeletePolicy", {}),
        },
        "location": str(found["location"]).upper(),
        "projectNumber": PROJECT_NUMBER,
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{found['name']}",
        "timeCreated": _MADE,
        "updated": _MADE,
        "url": f"gs://{found['name']}",
        "effectiveLabels": found.get("labels", {}),
        "pulumiLabels": found.get("labels", {}),
    },
)
BUCKET_MEMBER = Kind(
    resource=storage.BucketIAMMember,
    args=storage.BucketIAMMemberArgs,
    api="storage.googleapis.com",
    permission="storage.buckets.setIamPolicy",
    id="b/{bucket}/{role}/{member}",
    imports=("b/{bucket} {role} {member}",),
    fixed=frozenset({"bucket", "role", "member", "condition"}),
    references={"bucket": "gcp:storage/bucket:Bucket"},
    autonamed=False,
    outputs=lambda found: {"etag": _hashed(found["bucket"])[:12]},
)
ACCOUNT = Kind(
    resource=serviceaccount.Account,
    args=serviceaccount.AccountArgs,
    api="iam.googleapis.com",
    permission="iam.serviceAccounts",
    id="projects/{project}/serviceAccounts/{email}",
    imports=("{project}/{email}", "{email}"),
    fixed=frozenset({"accountId", "project"}),
    defaults={"disabled": False},
    by_server=frozenset({"project"}),
    by_provider={"createIgnoreAlreadyExists": None, **_KEPT},
    names={"accountId": r"[a-z][-a-z0-9]{4,28}[a-z0-9]"},
    autonamed=False,
    quota="SERVICE_ACCOUNTS",
    outputs=lambda found: {
        "email": email_of(found),
        "member": f"serviceAccount:{email_of(found)}",
        "name": f"projects/{found['project']}/serviceAccounts/{email_of(found)}",
    },
)
ACCOUNT_MEMBER = Kind(
    resource=serviceaccount.IAMMember,
    args=serviceaccount.IAMMemberArgs,
    api="iam.googleapis.com",
    permission="iam.serviceAccounts.setIamPolicy",
    id="{serviceAccountId}/{role}/{member}",
    imports=("{serviceAccountId} {role} {member}",),
    fixed=frozenset({"serviceAccountId", "role", "member", "condition"}),
    references={"serviceAccountId": "gcp:serviceaccount/account:Account"},
    autonamed=False,
    outputs=lambda found: {"etag": _hashed(found["serviceAccountId"])[:12]},
)
PROJECT_MEMBER = Kind(
    resource=projects.IAMMember,
    args=projects.IAMMemberArgs,
    api="cloudresourcemanager.googleapis.com",
    permission="resourcemanager.projects.setIamPolicy",
    id="{project}/{role}/{member}",
    imports=("{project} {role} {member}",),
    fixed=frozenset({"project", "role", "member", "condition"}),
    autonamed=False,
    outputs=lambda found: {"etag": _hashed(found["project"])[:12]},
)
NETWORK = Kind(
    resource=compute.Network,
    args=compute.NetworkArgs,
    api="compute.googleapis.com",
    permission="compute.networks",
    id="projects/{project}/global/networks/{name}",
    imports=("{project}/{name}", "{name}"),
    fixed=frozenset({"name", "project", "autoCreateSubnetworks", "description", "mtu", "internalIpv6Range"}),
    defaults={"autoCreateSubnetworks": True, "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL"},
    by_server=frozenset({"project", "routingMode", "mtu", "internalIpv6Range", "bgpBestPathSelectionMode"}),
    by_provider={"deleteDefaultRoutesOnCreate": False, **_KEPT},
    names={"name": _NAME},
    quota="NETWORKS",
    outputs=lambda found: {
        "routingMode": found.get("routingMode", "REGIONAL"),
        "mtu": found.get("mtu", 1460),
        "gatewayIpv4": "",
        "numericId": str(int(_hashed(found["name"])[:12], 16)),
        **_at("projects/{project}/global/networks/{name}", found),
    },
)
SUBNETWORK = Kind(
    resource=compute.Subnetwork,
    args=compute.SubnetworkArgs,
    api="compute.googleapis.com",
    permission="compute.subnetworks",
    id="projects/{project}/regions/{region}/subnetworks/{name}",
    imports=("{project}/{region}/{name}", "{region}/{name}", "{name}"),
    fixed=frozenset({"name", "project", "region", "network", "description", "reservedInternalRange"}),
    by_server=frozenset(
        {
            *("project", "region", "ipCidrRange", "purpose", "stackType", "privateIpGoogleAccess"),
            *("privateIpv6GoogleAccess", "internalIpv6Prefix", "externalIpv6Prefix", "allowSubnetCidrRoutesOverlap"),
            "secondaryIpRanges",
        }
    ),
    by_provider={"sendSecondaryIpRangeIfEmpty": None, **_KEPT},
    names={"name": _NAME},
    references={"network": NETWORK.token},
    quota="SUBNETWORKS",
    outputs=lambda found: {
        "purpose": found.get("purpose", "PRIVATE"),
        "stackType": found.get("stackType", "IPV4_ONLY"),
        "creationTimestamp": _MADE,
        "fingerprint": _hashed(found["name"])[:12],
        **_at("projects/{project}/regions/{region}/subnetworks/{name}", found),
    },
)
ROUTER = Kind(
    resource=compute.Router,
    args=compute.RouterArgs,
    api="compute.googleapis.com",
    permission="compute.routers",
    id="projects/{project}/regions/{region}/routers/{name}",
    imports=("{project}/{region}/{name}", "{region}/{name}", "{name}"),
    fixed=frozenset({"name", "project", "region", "network", "encryptedInterconnectRouter"}),
    by_server=frozenset({"project", "region"}),
    by_provider=_KEPT,
    names={"name": _NAME},
    references={"network": NETWORK.token},
    quota="ROUTERS",
    outputs=lambda found: {
        "creationTimestamp": _MADE,
        **_at("projects/{project}/regions/{region}/routers/{name}", found),
    },
)
NAT = Kind(
    resource=compute.RouterNat,
    args=compute.RouterNatArgs,
    api="compute.googleapis.com",
    permission="compute.routers",
    id="{project}/{region}/{router}/{name}",
    imports=("projects/{project}/regions/{region}/routers/{router}/{name}", "{region}/{router}/{name}"),
    fixed=frozenset({"name", "project", "region", "router", "type", "endpointTypes"}),
    defaults={
        "icmpIdleTimeoutSec": 30,
        "tcpEstablishedIdleTimeoutSec": 1200,
        "tcpTimeWaitTimeoutSec": 120,
        "tcpTransitoryIdleTimeoutSec": 30,
        "type": "PUBLIC",
        "udpIdleTimeoutSec": 30,
    },
    by_server=frozenset(
        {
            *("project", "region", "autoNetworkTier", "endpointTypes", "enableDynamicPortAllocation"),
            *("enableEndpointIndependentMapping", "minPortsPerVm", "maxPortsPerVm", "natIpAllocateOption"),
        }
    ),
    by_provider=_KEPT,
    names={"name": _NAME},
    references={"router": ROUTER.token},
    outputs=lambda _: {"autoNetworkTier": "PREMIUM", "endpointTypes": ["ENDPOINT_TYPE_VM"]},
)

_OF_CLUSTER = frozenset(
    {
        *("description", "ipAllocationPolicy", "masterAuthorizedNetworksConfig", "workloadIdentityConfig", "name"),
        *("resourceLabels", "initialNodeCount", "minMasterVersion", "enableAutopilot", "maintenancePolicy"),
    }
)
"""What of a cluster Google does not decide when it is not given."""
CLUSTER = Kind(
    resource=container.Cluster,
    args=container.ClusterArgs,
    api="container.googleapis.com",
    permission="container.clusters",
    id="projects/{project}/locations/{location}/clusters/{name}",
    imports=("{project}/{location}/{name}", "{location}/{name}", "{name}"),
    fixed=frozenset(
        {
            *("name", "project", "location", "network", "subnetwork", "ipAllocationPolicy", "initialNodeCount"),
            *("description", "enableAutopilot", "clusterIpv4Cidr", "networkingMode", "nodeConfig"),
            *("privateClusterConfig.masterIpv4CidrBlock", "enableKubernetesAlpha", "defaultMaxPodsPerNode"),
        }
    ),
    by_server=frozenset(
        {
            *(frozenset(names_of(container.ClusterArgs).values()) - _OF_CLUSTER),
            *("ipAllocationPolicy.stackType", "ipAllocationPolicy.clusterIpv4CidrBlock"),
            *("ipAllocationPolicy.servicesIpv4CidrBlock", "ipAllocationPolicy.podCidrOverprovisionConfig"),
            *("privateClusterConfig.privateEndpoint", "privateClusterConfig.publicEndpoint"),
            *("privateClusterConfig.peeringName", "privateClusterConfig.masterGlobalAccessConfig"),
            "controlPlaneEndpointsConfig.dnsEndpointConfig.endpoint",
            *("controlPlaneEndpointsConfig.ipEndpointsConfig", "releaseChannel.channel"),
        }
    ),
    by_provider={
        "deletionProtection": True,
        "removeDefaultNodePool": None,
        "allowNetAdmin": None,
        "ignoreNodeCountChanges": None,
        "skipNodePoolRefresh": None,
        **_KEPT,
    },
    names={"name": r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"},
    references={"network": NETWORK.token, "subnetwork": SUBNETWORK.token},
    quota="CLUSTERS",
    outputs=lambda found: {
        "masterVersion": "1.34.4-gke.1001000",
        "nodeVersion": "1.34.4-gke.1001000",
        "labelFingerprint": _hashed(found["name"])[:8],
        "selfLink": "https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}".format(
            **found
        ),
        "servicesIpv4Cidr": "",
        "networkingMode": "VPC_NATIVE",
        "effectiveLabels": found.get("resourceLabels", {}),
        "pulumiLabels": found.get("resourceLabels", {}),
    },
)
NODE_POOL = Kind(
    resource=container.NodePool,
    args=container.NodePoolArgs,
    api="container.googleapis.com",
    permission="container.clusters",
    id="projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}",
    imports=("{project}/{location}/{cluster}/{name}", "{location}/{cluster}/{name}"),
    fixed=frozenset(
        {
            *("name", "project", "location", "cluster", "initialNodeCount", "maxPodsPerNode", "placementPolicy"),
            *("nodeConfig.spot", "nodeConfig.preemptible", "nodeConfig.serviceAccount", "nodeConfig.oauthScopes"),
            *("nodeConfig.shieldedInstanceConfig", "nodeConfig.localSsdCount", "nodeConfig.minCpuPlatform"),
        }
    ),
    by_server=frozenset(
        {
            *("project", "location", "initialNodeCount", "nodeCount", "nodeLocations", "maxPodsPerNode", "version"),
            *("management", "networkConfig", "upgradeSettings", "nodeConfig", "nodeConfig.metadata"),
            *("nodeConfig.imageType", "nodeConfig.diskType", "nodeConfig.diskSizeGb", "nodeConfig.loggingVariant"),
            *("nodeConfig.shieldedInstanceConfig", "nodeConfig.workloadMetadataConfig", "nodeConfig.kubeletConfig"),
            *("nodeConfig.oauthScopes", "nodeConfig.serviceAccount", "nodeConfig.resourceLabels"),
            *("autoscaling.locationPolicy", "nodeConfig.machineType", "nodeDrainConfigs"),
        }
    ),
    by_provider={"ignoreNodeCountChanges": None, **_KEPT},
    names={"name": r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?"},
    references={"cluster": CLUSTER.token},
    quota="NODE_POOLS",
    outputs=lambda found: {
        "version": found.get("version", "1.34.4-gke.1001000"),
        "instanceGroupUrls": [],
        "managedInstanceGroupUrls": [],
    },
)

KINDS = {
    kind.token: kind
    for kind in (
        *(BUCKET, BUCKET_MEMBER, ACCOUNT, ACCOUNT_MEMBER, PROJECT_MEMBER),
        *(NETWORK, SUBNETWORK, ROUTER, NAT, CLUSTER, NODE_POOL),
    )
}
"""By token."""
