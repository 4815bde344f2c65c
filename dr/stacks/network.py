"""The network of the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from dr.config.infrastructure import Platform
from dr.stacks.resources import NETWORK


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """``imports`` are the import IDs of what exists and is to be taken over, by the resources' names."""

    plan: Platform
    imports: Mapping[str, str] = field(default_factory=dict)


class Network(pulumi.ComponentResource):
    """VPC, subnet with ranges for pods and services, router and NAT.

    No lock on any of it: none holds data, all of it is made anew in two minutes, and Google itself refuses to delete a
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
