"""The GKE cluster and its nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import NodePool, Platform
from dr.stacks.network import Network
from dr.stacks.resources import KUBERNETES, last_word

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
    to it is granted here, beside it.
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
