"""Pulumi's way to one Kubernetes cluster, the same for every stack that declares something in it."""

import pulumi
import pulumi_kubernetes as k8s

from dr.config.environment import KubernetesAccess


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
    into the shared state, and takes a list of files for the text of one. The provider reads the variable by itself.
    """

    def transform(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
        props = {**resource.props, "kubeconfig": access.kubeconfig}
        return pulumi.ResourceTransformationResult(props, resource.opts)

    return transform
