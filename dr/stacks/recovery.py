"""The recovery stack: the recovered Clusters of one environment.

One declaration for ``python -m dr`` (inline, through the Automation API) and for ``pulumi up`` (``__main__.py``), so
that neither undoes the other.
"""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from dr.model.config import Environment
from dr.model.recovered import RecoveredCluster

_WAIT_FOR_READY = {"pulumi.com/waitFor": "condition=Ready"}


def declare_recovery_stack(environment: Environment, clusters: Sequence[RecoveredCluster]) -> None:
    """Declare every recovered Cluster of ``environment``.

    All of them are declared each time, the ones that earlier runs made too: a Cluster that is left out is one that
    Pulumi deletes, and with it its data.
    """
    provider = k8s.Provider(
        "cluster",
        context=environment.kubernetes.context,
        # Without an identity of its own, a new endpoint or certificate of the same cluster would read as another
        # cluster, and everything in it would be replaced.
        cluster_identifier=environment.kubernetes.context,
        kubeconfig=environment.kubernetes.kubeconfig,
        opts=pulumi.ResourceOptions(transformations=[_without_kubeconfig_of_this_machine(environment)]),
    )
    for cluster in clusters:
        _declare_cluster(cluster, provider)
    pulumi.export("environment", environment.name)
    pulumi.export("clusters", [cluster.name for cluster in clusters])
    if clusters:
        latest = clusters[-1]
        pulumi.export("cluster", latest.name)
        pulumi.export("target", latest.target)
        pulumi.export("serverName", latest.server_name)
        pulumi.export("host", latest.host)


def _without_kubeconfig_of_this_machine(environment: Environment) -> pulumi.ResourceTransformation:
    """Undoes what the SDK does of its own accord: it makes ``$KUBECONFIG`` an input, which would put one machine's path
    into the shared state, and takes a list of files for the text of one. The provider reads the variable by itself.
    """

    def transform(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        props = {**resource.props, "kubeconfig": environment.kubernetes.kubeconfig}
        return pulumi.ResourceTransformationResult(props, resource.opts)

    return transform


def _declare_cluster(cluster: RecoveredCluster, provider: k8s.Provider) -> k8s.apiextensions.CustomResource:
    metadata = cluster.manifest["metadata"]
    limit = f"{cluster.limit.total_seconds():.0f}s"
    return k8s.apiextensions.CustomResource(
        cluster.name,
        api_version=cluster.manifest["apiVersion"],
        kind=cluster.manifest["kind"],
        metadata={**metadata, "annotations": {**metadata["annotations"], **_WAIT_FOR_READY}},
        spec=dict(cluster.manifest["spec"]),
        opts=pulumi.ResourceOptions(
            provider=provider,
            # It holds data that exists nowhere else: deleting it takes a deliberate `pulumi state unprotect` first.
            protect=True,
            custom_timeouts=pulumi.CustomTimeouts(create=limit, update=limit),
        ),
    )
