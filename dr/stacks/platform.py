"""The platform stack: network, cluster, and who may use the backups' account. All of it can be made again."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_command as command
import pulumi_gcp as gcp

from dr.config.infrastructure import NodePool, Platform
from dr.stacks.resources import IDENTITY, KUBERNETES, NETWORK, WORKLOAD_IDENTITY_ROLE, last_word, workload


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names."""

    plan: Platform
    imports: Mapping[str, str] = field(default_factory=dict)


class Network(pulumi.ComponentResource):
    """VPC, subnet with ranges for pods and services, router and NAT.

    No lock on any of it: none holds data, all of it is recreated in two minutes, and Google itself refuses to delete a
    network with a cluster in it.
    """

    def __init__(self, args: NetworkArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(NETWORK.token, NETWORK.name, None, opts)
        plan, project = args.plan.network, args.plan.gcp_project

        def options(name: str) -> pulumi.ResourceOptions:
            return pulumi.ResourceOptions(parent=self, import_=args.imports.get(name))

        self.network = gcp.compute.Network(
            "network",
            name=plan.name,
            project=project,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=options("network"),
        )
        self.subnet = gcp.compute.Subnetwork(
            "subnet",
            name=plan.subnet,
            project=project,
            region=args.plan.region,
            network=self.network.id,
            ip_cidr_range=plan.nodes,
            # In this order: Google keeps them as a list.
            secondary_ip_ranges=[
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=plan.pods_range, ip_cidr_range=plan.pods),
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=plan.services_range, ip_cidr_range=plan.services),
            ],
            # Nodes have no address of their own, and the bucket must not be reached through NAT.
            private_ip_google_access=True,
            opts=options("subnet"),
        )
        self.router = gcp.compute.Router(
            "router",
            name=plan.router,
            project=project,
            region=args.plan.region,
            network=self.network.id,
            opts=options("router"),
        )
        self.nat = gcp.compute.RouterNat(
            "nat",
            name=plan.nat,
            project=project,
            region=args.plan.region,
            router=self.router.name,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
            opts=options("nat"),
        )
        self.register_outputs({"network": self.network.id, "subnet": self.subnet.id})


_EVERYTHING = "https://www.googleapis.com/auth/cloud-platform"
"""The scope of the nodes: what they may do is said by the roles of their account, as Google advises."""


@dataclass(frozen=True, kw_only=True)
class ClusterArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names."""

    plan: Platform
    network: Network
    imports: Mapping[str, str] = field(default_factory=dict)


class Cluster(pulumi.ComponentResource):
    """The control plane, the pools, and the account of the nodes with its roles.

    The cluster holds the databases' volumes, so its deletion is locked twice: ``protect`` makes the engine refuse, and
    ``deletion_protection`` the provider, which reads it from the state and so wants an `up` of its own before a
    deletion. Not ``retain_on_delete``: a cluster that Pulumi has forgotten would still be paid for, and be in the way
    of the next one of that name. The pools have no lock: volumes are not on them. They are deleted before they are
    replaced, as two of one name cannot be; a preview says so first. The nodes' account has none either: what is granted
    to it is granted here, next to it.
    """

    def __init__(self, args: ClusterArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(KUBERNETES.token, KUBERNETES.name, None, opts)
        self._plan, self._imports = args.plan, args.imports
        self.account = gcp.serviceaccount.Account(
            "node-account",
            account_id=args.plan.node_account,
            project=args.plan.gcp_project,
            opts=self._options("node-account"),
        )
        roles = [self._role(role) for role in args.plan.node_roles]
        self.cluster = self._control_plane(args.network)
        self.pools = [self._pool(pool, roles) for pool in args.plan.node_pools]
        self.register_outputs({"cluster": self.cluster.id, "endpoint": self.dns_endpoint})

    @property
    def dns_endpoint(self) -> pulumi.Output[str | None]:
        """The control plane's name, by which it is reached from anywhere, with IAM as the door."""
        return self.cluster.control_plane_endpoints_config.apply(
            lambda config: config.dns_endpoint_config.endpoint if config and config.dns_endpoint_config else None
        )

    def _options(self, name: str, **more: object) -> pulumi.ResourceOptions:
        options = pulumi.ResourceOptions(parent=self, import_=self._imports.get(name))
        return pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(**more))  # type: ignore[arg-type]

    def _role(self, role: str) -> gcp.projects.IAMMember:
        name = f"node-role-{last_word(role)}"
        return gcp.projects.IAMMember(
            name,
            project=self._plan.gcp_project,
            role=role,
            member=f"serviceAccount:{self._plan.node_email}",
            opts=self._options(name, depends_on=[self.account]),
        )

    def _control_plane(self, network: Network) -> gcp.container.Cluster:
        plan = self._plan.cluster
        return gcp.container.Cluster(
            "cluster",
            name=plan.name,
            project=self._plan.gcp_project,
            location=self._plan.location,
            node_locations=list(plan.node_zones) or None,
            network=network.network.id,
            subnetwork=network.subnet.id,
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=self._plan.network.pods_range,
                services_secondary_range_name=self._plan.network.services_range,
            ),
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=f"{self._plan.gcp_project}.svc.id.goog"
            ),
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True,
                enable_private_endpoint=False,
                master_ipv4_cidr_block=plan.control_plane,
            ),
            # By address only who is listed, which may be nobody. By name whoever IAM lets in, from any network: on
            # the worst day nobody wants to depend on a way into the VPC.
            master_authorized_networks_config=gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
                cidr_blocks=[
                    gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(
                        display_name=network.name, cidr_block=network.cidr
                    )
                    for network in plan.authorized_networks
                ]
                or None
            ),
            control_plane_endpoints_config=gcp.container.ClusterControlPlaneEndpointsConfigArgs(
                dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
                    allow_external_traffic=True
                )
            ),
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel=plan.release_channel),
            # All pools are declared apart; a cluster cannot be made without one, so Google's own goes at once.
            remove_default_node_pool=True,
            initial_node_count=1,
            deletion_protection=plan.deletion_protection,
            opts=self._options(
                "cluster",
                protect=True,
                # How it was made; of no meaning afterwards, and another value would have it replaced.
                ignore_changes=["initialNodeCount", "removeDefaultNodePool"],
            ),
        )

    def _pool(self, pool: NodePool, roles: list[gcp.projects.IAMMember]) -> gcp.container.NodePool:
        name = f"pool-{pool.name}"
        return gcp.container.NodePool(
            name,
            name=pool.name,
            project=self._plan.gcp_project,
            location=self._plan.location,
            cluster=self.cluster.name,
            initial_node_count=max(pool.min_nodes, 1),
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                min_node_count=pool.min_nodes, max_node_count=pool.max_nodes
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=gcp.container.NodePoolNodeConfigArgs(
                machine_type=pool.machine_type,
                spot=pool.spot,
                disk_size_gb=pool.disk_gb,
                disk_type=pool.disk_type,
                service_account=self.account.email,
                oauth_scopes=[_EVERYTHING],
                workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(
                    mode="GKE_METADATA"
                ),
                shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            opts=self._options(
                name,
                # Without its roles a node comes up and is never ready.
                depends_on=roles,
                delete_before_replace=True,
                # The autoscaler's, from the first minute on.
                ignore_changes=["initialNodeCount", "nodeCount"],
            ),
        )


def declare_platform_stack(platform: Platform, provider: gcp.Provider, imports: Mapping[str, str]) -> None:
    """Declare the platform. ``imports`` are the import IDs of what exists and is not held yet."""
    options = pulumi.ResourceOptions(providers={"gcp": provider})
    network = Network(NetworkArgs(plan=platform, imports=imports), options)
    kubernetes = Cluster(ClusterArgs(plan=platform, network=network, imports=imports), options)
    WorkloadIdentity(WorkloadIdentityArgs(plan=platform, after=kubernetes.cluster, imports=imports), options)
    if platform.operator_credentials:
        _write_operators_kubeconfig(platform, kubernetes)
    pulumi.export("cluster", kubernetes.cluster.name)
    pulumi.export("location", kubernetes.cluster.location)
    pulumi.export("endpoint", kubernetes.dns_endpoint)


def _write_operators_kubeconfig(platform: Platform, kubernetes: Cluster) -> None:
    """What the runbook has people type after ``terraform apply``, for their own kubectl; `dr` needs no gcloud.

    Declared on every machine, so that a stack does not change with who runs it, and never a failure: no rebuild waits
    for somebody's shell. It runs again for another cluster.
    """
    name, location, project = (
        shlex.quote(value) for value in (platform.cluster.name, platform.location, platform.gcp_project)
    )
    command.local.Command(
        "get-credentials",
        create=(
            "if command -v gcloud >/dev/null; then "
            f"gcloud container clusters get-credentials {name} --location {location} --project {project} "
            "--dns-endpoint || echo 'gcloud could not: the kubeconfig is as it was'; "
            "else echo 'there is no gcloud here: nothing was written'; fi"
        ),
        triggers=[kubernetes.dns_endpoint],
        opts=pulumi.ResourceOptions(
            provider=command.Provider("shell"), depends_on=[kubernetes.cluster], parent=kubernetes
        ),
    )


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names; ``after`` is what
    brings the project's workload pool into being.
    """

    plan: Platform
    after: pulumi.Resource
    imports: Mapping[str, str] = field(default_factory=dict)


class WorkloadIdentity(pulumi.ComponentResource):
    """One grant for each name that a Cluster may ever get: a recovered one that first has to be granted something is
    one that waits while customers do.

    ``retain_on_delete``: a workload pool is the project's and not the cluster's, so a platform in another region lives
    by the same grants. Taking this one away must not take the backups from that one.
    """

    def __init__(self, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(IDENTITY.token, IDENTITY.name, None, opts)
        plan = args.plan
        for namespace, cluster in plan.identities:
            name = f"identity-{namespace}-{cluster}"
            gcp.serviceaccount.IAMMember(
                name,
                service_account_id=f"projects/{plan.gcp_project}/serviceAccounts/{plan.backup_email}",
                role=WORKLOAD_IDENTITY_ROLE,
                member=workload(plan, namespace, cluster),
                opts=pulumi.ResourceOptions(
                    parent=self, depends_on=[args.after], retain_on_delete=True, import_=args.imports.get(name)
                ),
            )
        self.register_outputs({})
