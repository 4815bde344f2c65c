"""The platform stack: network, cluster, and who may use the backups' account. All of it can be made anew."""

import shlex
from collections.abc import Mapping

import pulumi
import pulumi_command as command
import pulumi_gcp as gcp

from dr.config.infrastructure import Platform
from dr.stacks.gke import Cluster, ClusterArgs
from dr.stacks.network import Network, NetworkArgs
from dr.stacks.workload_identity import WorkloadIdentity, WorkloadIdentityArgs


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
