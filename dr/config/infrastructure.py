"""What the infrastructure is: the ``postgres-dr:`` keys of the durable, the platform and the argocd stack's own files.

Two stacks, by what survives what. The durable one holds what has to outlive everything (the backups, and who may read
them), the platform what can be recreated around it. Environments of one project share both. As with environments, names
of a particular installation stand in the files, and only sizes and terms have defaults here.

The chart is pinned, as a rebuild must not be the first time that a new version is met. Where it comes from can be said,
so that a mirror, or a folder with the chart, serves on a day when the public repository does not.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from dr.config.backup_location import Kind
from dr.config.environment import ClusterName, Environment, GuardOverride
from dr.config.kubernetes_access import KubernetesAccess
from dr.config.names import possible_names
from dr.config.stack_file import Name, SecretsProvider, Section, StateUrl
from dr.core.errors import ConfigError

_ACCOUNT_LIMIT = 30
"""The longest ID that Google takes for a service account."""
_REGION = r"[a-z]+-[a-z]+[0-9]+"


def _range(value: str) -> str:
    try:
        given = str(IPv4Network(value))
    except ValueError as error:
        raise ValueError(f"is not a valid range of addresses ({error}); write one such as 10.10.0.0/20") from error
    if given != value:
        raise ValueError(f"has no size; write {given} if that is meant, or a range such as 10.10.0.0/20")
    return value


def _soft_delete(value: int) -> int:
    if value != 0 and not 7 <= value <= 90:
        raise ValueError("Google keeps deleted objects 7 to 90 days, or not at all: write one of these, or 0")
    return value


def _location(value: str) -> str:
    """Google tells it in upper case, whatever it was given."""
    return value.upper()


GoogleName = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
AccountId = Annotated[str, Field(pattern=r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$")]
Range = Annotated[str, AfterValidator(_range)]
Region = Annotated[str, Field(pattern=rf"^{_REGION}$")]
Zone = Annotated[str, Field(pattern=rf"^{_REGION}-[a-z]$")]
Role = Annotated[str, Field(pattern=r"^(roles|projects/[^/]+/roles|organizations/[^/]+/roles)/[A-Za-z0-9_.]+$")]


class BackupBucket(Section):
    """The bucket of all backups, and the account that CloudNativePG's instances use it by."""

    bucket: Annotated[str, Field(min_length=3, pattern=r"^[a-z0-9][-a-z0-9._]*$")]
    location: Annotated[str, Field(min_length=1), AfterValidator(_location)]
    """A region, a dual-region or a multi-region. What it is decides whether the backups survive a region."""
    storage_class: Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"] = "STANDARD"
    retention_days: Annotated[int, Field(ge=1)] = 30
    """The age at which the bucket deletes an object."""
    recovery_window_days: Annotated[int, Field(ge=1)] = 30
    """How far back it has to be possible to recover. No change may make the bucket forget sooner than that."""
    versioning: bool = False
    """Whether an object that is overwritten or deleted is kept as a version that is not current."""
    noncurrent_days: Annotated[int, Field(ge=1)] = 7
    """How long such a version is kept, where ``versioning`` is on."""
    soft_delete_days: Annotated[int, AfterValidator(_soft_delete)] = 7
    account: AccountId
    account_title: str = ""
    """The account's display name."""
    holds_account: bool = True
    """Whether the account is this stack's. The bucket of a copy is written and read by the same account, which another
    durable stack holds.
    """
    roles: Annotated[tuple[Role, ...], Field(min_length=1, strict=False)] = (
        "roles/storage.objectAdmin",
        "roles/storage.legacyBucketReader",
    )
    """What the account may do in the bucket: objects, and, as barman looks whether the bucket is there, reading it."""


class Durable(Section):
    """The durable stack, as ``Pulumi.<name>.yaml`` describes it."""

    name: Name
    holds: Literal["durable"]
    gcp_project: Name
    backup: BackupBucket
    state_backend: StateUrl | None = None
    secrets_provider: SecretsProvider = "passphrase"
    overrides: Annotated[tuple[GuardOverride, ...], Field(strict=False)] = ()

    @property
    def account_email(self) -> str:
        """The name by which IAM knows the backups' account."""
        return email(self.backup.account, self.gcp_project)

    @model_validator(mode="after")
    def _kept_as_long_as_wanted(self) -> Self:
        if self.backup.retention_days < self.backup.recovery_window_days:
            raise ValueError(
                f"backup.retentionDays is {self.backup.retention_days}, and backup.recoveryWindowDays is "
                f"{self.backup.recovery_window_days}: the bucket would delete what a recovery needs; "
                f"write retentionDays: {self.backup.recovery_window_days} or more"
            )
        return self


class NetworkPlan(Section):
    """The network of the cluster: nodes without addresses of their own, which go out through NAT."""

    name: GoogleName
    subnet: GoogleName
    nodes: Range
    pods: Range
    services: Range
    pods_range: GoogleName = "pods"
    """The name of the secondary range that pods get their addresses from."""
    services_range: GoogleName = "services"
    router: GoogleName
    nat: GoogleName


class AuthorizedNetwork(Section):
    """From where the control plane's address may be reached. Its DNS endpoint goes by IAM instead."""

    name: Annotated[str, Field(min_length=1)]
    cidr: Range


class GkeCluster(Section):
    """The GKE cluster."""

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
    zone: Zone | None = None
    """One zone for a zonal control plane; without it the control plane is the region's, in three zones."""
    node_zones: Annotated[tuple[Zone, ...], Field(strict=False)] = ()
    """The zones of the nodes; without them Google chooses."""
    release_channel: Literal["RAPID", "REGULAR", "STABLE", "EXTENDED"] = "REGULAR"
    control_plane: Range
    """The range of the control plane, which Google wants for private nodes; a /28."""
    authorized_networks: Annotated[tuple[AuthorizedNetwork, ...], Field(strict=False)] = ()
    deletion_protection: bool = True


class NodePool(Section):
    """One pool of nodes. The counts are for each zone, as Google counts."""

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
    machine_type: Annotated[str, Field(min_length=1)] = "e2-standard-4"
    spot: bool = False
    """Cheap, and taken away at any time: for what is there more than once."""
    min_nodes: Annotated[int, Field(ge=0)] = 0
    max_nodes: Annotated[int, Field(ge=1)] = 3
    disk_gb: Annotated[int, Field(ge=10)] = 100
    disk_type: Annotated[str, Field(min_length=1)] = "pd-balanced"


class DatabaseNames(Section):
    """The Clusters of one environment, as its own file names them."""

    namespace: Name
    source_cluster: ClusterName
    recovered_cluster: ClusterName


class WorkloadIdentityConfig(Section):
    """Which Clusters may use the backups' account. CloudNativePG gives each a Kubernetes ServiceAccount of its name."""

    account: AccountId
    """The account's ID in the durable stack."""
    databases: Annotated[tuple[DatabaseNames, ...], Field(min_length=1, strict=False)]
    generations: Annotated[int, Field(ge=1, le=20)] = 3
    """How many recoveries of one environment can follow each other without a change here."""


class Platform(Section):
    """The platform stack, as ``Pulumi.<name>.yaml`` describes it."""

    name: Name
    holds: Literal["platform"]
    gcp_project: Name
    region: Region
    network: NetworkPlan
    cluster: GkeCluster
    node_pools: Annotated[tuple[NodePool, ...], Field(min_length=1, strict=False)]
    node_account: AccountId
    node_roles: Annotated[tuple[Role, ...], Field(min_length=1, strict=False)] = (
        "roles/container.defaultNodeServiceAccount",
        "roles/artifactregistry.reader",
    )
    """What the nodes may do: what GKE itself asks for (logs, metrics), and pulling images. No more."""
    workload_identity: WorkloadIdentityConfig
    operator_credentials: bool = True
    """Whether gcloud, where there is one, writes the kubeconfig of the operator's own shell."""
    state_backend: StateUrl | None = None
    secrets_provider: SecretsProvider = "passphrase"
    overrides: Annotated[tuple[GuardOverride, ...], Field(strict=False)] = ()

    @property
    def location(self) -> str:
        """Where the control plane is: a zone, or the region."""
        return self.cluster.zone or self.region

    @property
    def backup_email(self) -> str:
        """The name by which IAM knows the backups' account."""
        return email(self.workload_identity.account, self.gcp_project)

    @property
    def node_email(self) -> str:
        """The name by which IAM knows the nodes' account."""
        return email(self.node_account, self.gcp_project)

    @property
    def identities(self) -> tuple[tuple[str, str], ...]:
        """Namespace and name of each Kubernetes ServiceAccount that may use the backups' account."""
        plan = self.workload_identity
        return tuple(
            dict.fromkeys(
                (names.namespace, name)
                for names in plan.databases
                for name in possible_names(names.source_cluster, names.recovered_cluster, generations=plan.generations)
            )
        )

    def in_region(self, region: str, *, zone: str | None = None) -> "Platform":
        """The same platform in another region, as a stack of its own.

        Not the same stack with another region: the state of the one that is out of reach has to stay as it is, or
        Pulumi would have to delete there before it could create here. What Google names for a whole project gets the
        region into its name; what it names for each region keeps it.
        """
        room = _ACCOUNT_LIMIT - len(region) - 1
        moved = {
            **self.model_dump(by_alias=True),
            "name": f"{self.name}-{region}",
            "region": region,
            "network": {
                **self.network.model_dump(by_alias=True),
                "name": f"{self.network.name[: 62 - len(region)].rstrip('-')}-{region}",
            },
            "cluster": {**self.cluster.model_dump(by_alias=True), "zone": zone, "nodeZones": ()},
            "nodeAccount": f"{self.node_account[:room].rstrip('-')}-{region}",
        }
        return Platform.model_validate(moved)

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        for zone in filter(None, (self.cluster.zone, *self.cluster.node_zones)):
            if not re.fullmatch(rf"{self.region}-[a-z]", zone):
                raise ValueError(
                    f"the zone {zone} is not in region {self.region}; write one of {self.region}-a, -b, -c"
                )
        ranges = {
            "network.nodes": self.network.nodes,
            "network.pods": self.network.pods,
            "network.services": self.network.services,
            "cluster.controlPlane": self.cluster.control_plane,
        }
        for (one, mine), (other, theirs) in combinations(ranges.items(), 2):
            if IPv4Network(mine).overlaps(IPv4Network(theirs)):
                raise ValueError(f"{one} {mine} and {other} {theirs} overlap; write ranges that share no address")
        for pool in self.node_pools:
            if pool.min_nodes > pool.max_nodes:
                raise ValueError(
                    f"the node pool {pool.name} has minNodes {pool.min_nodes} and maxNodes {pool.max_nodes}; "
                    "write a maxNodes that is not smaller"
                )
        names = [pool.name for pool in self.node_pools]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"nodePools has two pools named {twice[0]!r}; give each a name of its own")
        return self


StackConfig = Durable | Platform
"""One stack of the infrastructure."""


def email(account: str, project: str) -> str:
    """The address of a service account."""
    return f"{account}@{project}.iam.gserviceaccount.com"


@dataclass(frozen=True, kw_only=True)
class Infrastructure:
    """Both stacks, seen to fit each other."""

    durable: Durable
    platform: Platform

    def __post_init__(self) -> None:
        """Raise ConfigError when the two stacks are not of one infrastructure."""
        durable, platform = self.durable, self.platform
        if durable.gcp_project != platform.gcp_project:
            raise _contradiction(
                f"stack {durable.name} is of project {durable.gcp_project}, {platform.name} of {platform.gcp_project}"
            )
        if durable.backup.account != platform.workload_identity.account:
            raise _contradiction(
                f"stack {durable.name} has the backups' account {durable.backup.account}, and {platform.name} lets the "
                f"Clusters use {platform.workload_identity.account}"
            )

    def check_covers(self, environment: Environment) -> None:
        """Raise ConfigError unless the environment's backups and Clusters are this infrastructure's."""
        if environment.gcp_project != self.durable.gcp_project:
            raise _contradiction(
                f"environment {environment.name} is of project {environment.gcp_project}, its infrastructure of "
                f"{self.durable.gcp_project}"
            )
        if environment.backup.store is not Kind.GCS:
            raise _contradiction(
                f"environment {environment.name} has its backups in {environment.backup.url}, and the infrastructure's "
                "stacks hold a bucket of Cloud Storage: full-rebuild and adopt are for backups there only"
            )
        if environment.backup.bucket != self.durable.backup.bucket:
            raise _contradiction(
                f"environment {environment.name} has its backups in {environment.backup.bucket}, and stack "
                f"{self.durable.name} holds {self.durable.backup.bucket}"
            )
        wanted = {(environment.namespace, name) for name in (environment.source_cluster, environment.recovered_cluster)}
        if missing := sorted(wanted - set(self.platform.identities)):
            names = ", ".join(f"{namespace}/{name}" for namespace, name in missing)
            raise _contradiction(
                f"stack {self.platform.name} does not let {names} of environment {environment.name} use the backups' "
                "account"
            )


def _contradiction(cause: str) -> ConfigError:
    return ConfigError(
        "infrastructure-contradiction",
        cause,
        "make the stacks' files and the environment's name the same; docs/infrastructure.md says what stands where",
    )


ROOT = "root"
"""The Application that declares the others."""

_Text = Annotated[str, Field(min_length=1)]


class Chart(Section):
    """Argo CD's Helm chart."""

    repository: str = "https://argoproj.github.io/argo-helm"
    """A Helm repository's URL; empty where ``name`` is a folder of this machine, or an ``oci://`` address."""
    name: _Text = "argo-cd"
    version: _Text = "9.1.0"


class RepositoryCredentials(Section):
    """Where the keys of Argo CD's repository Secret lie (``username`` and ``password``, or ``sshPrivateKey``, ...): a
    YAML or JSON mapping, in a file or in Google's Secret Manager.
    """

    file: _Text | None = None
    secret: Annotated[str, Field(pattern=r"^projects/[^/]+/secrets/[^/]+/versions/[^/]+$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.secret is None):
            raise ValueError("credentials takes either file or secret; write one of them")
        return self


class ArgoCd(Section):
    """The stack that brings Argo CD and its first Application, as ``Pulumi.<name>.yaml`` describes it."""

    name: Name
    holds: Literal["argocd"]
    kubernetes: KubernetesAccess
    namespace: Name = "argocd"
    chart: Chart = Chart()
    values: dict[str, Any] = Field(default_factory=dict)
    """The chart's values."""
    repository: _Text
    """The Git repository's URL, as Argo CD is to reach it."""
    revision: _Text = "HEAD"
    path: _Text
    """The folder of the Applications in it."""
    credentials: RepositoryCredentials | None = None
    """Without them the repository has to be readable by anyone."""
    timeout_minutes: Annotated[float, Field(gt=0, le=120)] = 10
    """How long the chart's own objects may take to be ready."""
    state_backend: StateUrl | None = None
    secrets_provider: SecretsProvider = "passphrase"

    @property
    def root(self) -> dict[str, Any]:
        """The root Application."""
        return {
            "project": "default",
            "source": {"repoURL": self.repository, "targetRevision": self.revision, "path": self.path},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        }
