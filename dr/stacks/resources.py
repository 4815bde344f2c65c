"""Every resource that the infrastructure's stacks hold, in the order in which they depend on each other.

The programs in ``dr.stacks`` declare them; this table is for everything else that has to know them: reading what still
exists, importing it, taking it over from Terraform. A test holds the two against each other.
"""

from dataclasses import dataclass
from enum import StrEnum

from dr.config.infrastructure import Durable, Platform, StackConfig
from dr.config.stack_file import PROJECT

_WORDS = {
    *("projects", "regions", "locations", "global"),
    *("networks", "subnetworks", "routers", "clusters", "nodePools", "serviceAccounts"),
}
"""What is in IDs besides names."""


class Api(StrEnum):
    """Google's APIs that are read, by the word that the provider's variables have for them."""

    STORAGE = "STORAGE"
    IAM = "IAM"
    RESOURCE_MANAGER = "RESOURCE_MANAGER"
    COMPUTE = "COMPUTE"
    CONTAINER = "CONTAINER"
    SECRET_MANAGER = "SECRET_MANAGER"  # noqa: S105 - the API's name


@dataclass(frozen=True, kw_only=True)
class Named:
    """A thing with a path of its own, and the list that it has to be in as long as it exists."""

    api: Api
    path: str
    listing: str
    items: str
    """The field of the list's answer that holds the things."""
    key: str
    """The field of a thing that tells it from others, with ``value``."""
    value: str
    within: "Named | None" = None
    """What it is gone with."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry in a list that is a field of another thing: a NAT in its router."""

    of: Named
    field: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of one role in the IAM policy at ``path``; it is gone with the thing that the policy is of."""

    api: Api
    path: str
    method: str
    role: str
    member: str
    of: Named | None = None


Place = Named | Entry | Member


@dataclass(frozen=True, kw_only=True)
class Component:
    """The ComponentResource that a resource stands below."""

    name: str
    type: str

    @property
    def token(self) -> str:
        """Its type, as Pulumi knows it."""
        return f"{PROJECT}:infrastructure:{self.type}"


@dataclass(frozen=True, kw_only=True)
class CloudResource:
    """One resource. ``name`` is its name in the stack, ``title`` what a person calls it."""

    name: str
    type: str
    component: Component
    import_id: str
    title: str
    place: Place

    def is_known_as(self, given: str) -> bool:
        """Whether ``given``, an ID of a state, is of this very thing. A provider writes some IDs in another form than
        it takes them for an import; the names in them are the same, in the same order.
        """
        return _names(given) == _names(self.import_id)

    def urn(self, stack: str) -> str:
        """Its name in the state of ``stack``."""
        return f"urn:pulumi:{stack}::{PROJECT}::{self.component.token}${self.type}::{self.name}"


def _names(given: str) -> list[str]:
    return [part for part in given.replace(" ", "/").split("/") if part not in _WORDS]


def component_urn(component: Component, stack: str) -> str:
    """A component's name in the state of ``stack``."""
    return f"urn:pulumi:{stack}::{PROJECT}::{component.token}::{component.name}"


BACKUPS = Component(name="backup", type="BackupStore")
NETWORK = Component(name="networking", type="Network")
KUBERNETES = Component(name="kubernetes", type="Cluster")
IDENTITY = Component(name="identity", type="WorkloadIdentity")

BUCKET = "gcp:storage/bucket:Bucket"
BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ACCOUNT = "gcp:serviceaccount/account:Account"
ACCOUNT_MEMBER = "gcp:serviceaccount/iAMMember:IAMMember"
PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
VPC = "gcp:compute/network:Network"
SUBNET = "gcp:compute/subnetwork:Subnetwork"
ROUTER = "gcp:compute/router:Router"
NAT = "gcp:compute/routerNat:RouterNat"
CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"

WORKLOAD_IDENTITY_ROLE = "roles/iam.workloadIdentityUser"


def resources_of(part: StackConfig) -> tuple[CloudResource, ...]:
    """All resources of one stack."""
    return durable_resources(part) if isinstance(part, Durable) else platform_resources(part)


def durable_resources(durable: Durable) -> tuple[CloudResource, ...]:
    """The bucket, the account where it is this stack's, and what the account may do in the bucket."""
    project, name = durable.gcp_project, durable.backup.bucket
    bucket = Named(
        api=Api.STORAGE,
        path=f"b/{name}",
        listing=f"b?project={project}&prefix={name}",
        items="items",
        key="name",
        value=name,
    )
    member = f"serviceAccount:{durable.account_email}"
    return (
        CloudResource(
            name="backup-bucket", type=BUCKET, component=BACKUPS, import_id=name, title=f"bucket {name}", place=bucket
        ),
        *(
            [_account("backup-account", BACKUPS, project, durable.account_email)]
            if durable.backup.holds_account
            else ()
        ),
        *(
            CloudResource(
                name=f"backup-access-{last_word(role)}",
                type=BUCKET_MEMBER,
                component=BACKUPS,
                import_id=f"b/{name} {role} {member}",
                title=f"{role} on bucket {name} for {durable.account_email}",
                place=Member(api=Api.STORAGE, path=f"b/{name}/iam", method="GET", role=role, member=member, of=bucket),
            )
            for role in durable.backup.roles
        ),
    )


def platform_resources(platform: Platform) -> tuple[CloudResource, ...]:
    """The network, the cluster with its nodes, and who may use the backups' account."""
    return (*_network(platform), *_kubernetes(platform), *_identities(platform))


def last_word(role: str) -> str:
    """``objectAdmin`` of ``roles/storage.objectAdmin``: enough to tell a stack's roles apart."""
    return role.rsplit("/", 1)[-1].rsplit(".", 1)[-1]


def _account(name: str, component: Component, project: str, email: str) -> CloudResource:
    return CloudResource(
        name=name,
        type=ACCOUNT,
        component=component,
        import_id=f"projects/{project}/serviceAccounts/{email}",
        title=f"service account {email}",
        place=_account_place(project, email),
    )


def _account_place(project: str, email: str) -> Named:
    accounts = f"projects/{project}/serviceAccounts"
    return Named(api=Api.IAM, path=f"{accounts}/{email}", listing=accounts, items="accounts", key="email", value=email)


def _network(platform: Platform) -> tuple[CloudResource, ...]:
    plan, project = platform.network, platform.gcp_project
    regional = f"projects/{project}/regions/{platform.region}"
    router = _compute(f"{regional}/routers", plan.router)
    places = (
        ("network", VPC, f"network {plan.name}", _compute(f"projects/{project}/global/networks", plan.name)),
        ("subnet", SUBNET, f"subnet {plan.subnet}", _compute(f"{regional}/subnetworks", plan.subnet)),
        ("router", ROUTER, f"router {plan.router}", router),
    )
    return (
        *(
            CloudResource(name=name, type=kind, component=NETWORK, import_id=place.path, title=title, place=place)
            for name, kind, title, place in places
        ),
        CloudResource(
            name="nat",
            type=NAT,
            component=NETWORK,
            import_id=f"{router.path}/{plan.nat}",
            title=f"NAT {plan.nat}",
            place=Entry(of=router, field="nats", name=plan.nat),
        ),
    )


def _compute(listing: str, name: str) -> Named:
    return Named(api=Api.COMPUTE, path=f"{listing}/{name}", listing=listing, items="items", key="name", value=name)


def _kubernetes(platform: Platform) -> tuple[CloudResource, ...]:
    project, location, name = platform.gcp_project, platform.location, platform.cluster.name
    clusters = f"projects/{project}/locations/{location}/clusters"
    cluster = Named(
        api=Api.CONTAINER, path=f"{clusters}/{name}", listing=clusters, items="clusters", key="name", value=name
    )
    member = f"serviceAccount:{platform.node_email}"
    return (
        _account("node-account", KUBERNETES, project, platform.node_email),
        *(
            CloudResource(
                name=f"node-role-{last_word(role)}",
                type=PROJECT_MEMBER,
                component=KUBERNETES,
                import_id=f"{project} {role} {member}",
                title=f"{role} in project {project} for {platform.node_email}",
                place=Member(
                    api=Api.RESOURCE_MANAGER,
                    path=f"projects/{project}:getIamPolicy",
                    method="POST",
                    role=role,
                    member=member,
                ),
            )
            for role in platform.node_roles
        ),
        CloudResource(
            name="cluster",
            type=CLUSTER,
            component=KUBERNETES,
            import_id=cluster.path,
            title=f"GKE cluster {name}",
            place=cluster,
        ),
        *(
            CloudResource(
                name=f"pool-{pool.name}",
                type=NODE_POOL,
                component=KUBERNETES,
                import_id=f"{project}/{location}/{name}/{pool.name}",
                title=f"node pool {pool.name}",
                place=Named(
                    api=Api.CONTAINER,
                    path=f"{cluster.path}/nodePools/{pool.name}",
                    listing=f"{cluster.path}/nodePools",
                    items="nodePools",
                    key="name",
                    value=pool.name,
                    within=cluster,
                ),
            )
            for pool in platform.node_pools
        ),
    )


def _identities(platform: Platform) -> tuple[CloudResource, ...]:
    account = _account_place(platform.gcp_project, platform.backup_email)
    return tuple(
        CloudResource(
            name=f"identity-{namespace}-{name}",
            type=ACCOUNT_MEMBER,
            component=IDENTITY,
            import_id=f"{account.path} {WORKLOAD_IDENTITY_ROLE} {workload(platform, namespace, name)}",
            title=f"the use of {platform.backup_email} by {namespace}/{name}",
            place=Member(
                api=Api.IAM,
                path=f"{account.path}:getIamPolicy",
                method="POST",
                role=WORKLOAD_IDENTITY_ROLE,
                member=workload(platform, namespace, name),
                of=account,
            ),
        )
        for namespace, name in platform.identities
    )


def workload(platform: Platform, namespace: str, name: str) -> str:
    """A Kubernetes ServiceAccount as IAM knows it. The pool is the project's, so it is the same in any of its clusters
    (cloud.google.com/kubernetes-engine/docs/concepts/workload-identity, "identity sameness").
    """
    return f"serviceAccount:{platform.gcp_project}.svc.id.goog[{namespace}/{name}]"
