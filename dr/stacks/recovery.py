"""The recovery stack: the recovered Clusters of one environment, and where its Service points.

One declaration for ``python -m dr`` (inline, through the Automation API) and for ``pulumi up`` (``__main__.py``), so
that neither undoes the other.
"""

import pulumi
import pulumi_kubernetes as k8s

from dr.cnpg.recovered import RecoveredCluster
from dr.config.environment import Environment
from dr.config.kubernetes_access import KubernetesAccess
from dr.config.stack_file import PROJECT
from dr.stacks.declaration import Declaration, stack_outputs

_WAIT_FOR_READY = {"pulumi.com/waitFor": "condition=Ready"}


def declare_recovery_stack(environment: Environment, declaration: Declaration) -> None:
    """Declare every recovered Cluster of ``environment``, and where its Service points.

    All of them are declared each time, the ones that earlier runs made too: a Cluster that is left out is one that
    Pulumi deletes, and with it its data.
    """
    clusters = declaration.clusters
    provider = cluster_provider(environment.kubernetes)
    for cluster in clusters:
        _declare_cluster(cluster, provider)
    if declaration.external_name is not None:
        _declare_traffic(environment, declaration.external_name, provider)
    for name, value in stack_outputs(environment, declaration).items():
        pulumi.export(name, value)


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


def _declare_traffic(environment: Environment, external_name: str, provider: k8s.Provider) -> None:
    """Where the Service points. A patch, as the Service itself belongs to its maker.

    Once declared it stays declared, with the original value after a rollback: the deletion of a patch does not bring
    back what it replaced (pulumi-kubernetes docs, "Server-side apply").
    """
    k8s.core.v1.ServicePatch(
        "traffic",
        metadata=k8s.meta.v1.ObjectMetaPatchArgs(
            name=environment.service,
            namespace=environment.namespace,
            # The field has another owner (kubectl, Argo CD), and taking it over is the very purpose.
            annotations={"pulumi.com/patchForce": "true", "pulumi.com/patchFieldManager": PROJECT},
        ),
        spec=k8s.core.v1.ServiceSpecPatchArgs(external_name=external_name),
        opts=pulumi.ResourceOptions(provider=provider, retain_on_delete=True),
    )


def cluster_provider(access: KubernetesAccess) -> k8s.Provider:
    """The provider for the cluster of a context."""
    return k8s.Provider(
        "cluster",
        context=access.context,
        # Without an identity of its own, a new endpoint or certificate of the same cluster would read as another
        # cluster, and everything in it would be replaced.
        cluster_identifier=access.context,
        kubeconfig=access.kubeconfig,
        opts=pulumi.ResourceOptions(transformations=[_without_kubeconfig_of_this_machine(access)]),
    )


def _without_kubeconfig_of_this_machine(access: KubernetesAccess) -> pulumi.ResourceTransformation:
    """Undoes what the SDK does of its own accord: it makes ``$KUBECONFIG`` an input, which would put one machine's path
    into the shared state, and takes a list of files for the text of one. The provider reads the variable.
    """

    def transform(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        props = {**resource.props, "kubeconfig": access.kubeconfig}
        return pulumi.ResourceTransformationResult(props, resource.opts)

    return transform
