"""Argo CD on an empty cluster: its chart, the key to the repository, and the Application that declares all others.

From there on Git declares the platform, and Argo CD itself where the repository says so. What this stack makes is what
Git cannot: a repository is read by somebody.
"""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as k8s

from dr.config.infrastructure import ROOT, ArgoCd
from dr.stacks.recovery import cluster_provider

_REPOSITORY_SECRET = "postgres-dr-repository"  # noqa: S105 - the Secret's name


def declare_argocd_stack(plan: ArgoCd, credentials: Mapping[str, str] | None) -> None:
    """Declare Argo CD. ``credentials`` are the keys of the repository's Secret, None where anyone may read it.

    They are a secret to Pulumi, too: the state and its previews have them only encrypted.
    """
    provider = cluster_provider(plan.kubernetes)
    options = pulumi.ResourceOptions(provider=provider)
    namespace = k8s.core.v1.Namespace(
        "namespace",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=plan.namespace),
        # Applications are in it, and deleting one may delete what it declares.
        opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(protect=True)),
    )
    release = k8s.helm.v3.Release(
        "chart",
        chart=plan.chart.name,
        version=plan.chart.version,
        repository_opts=k8s.helm.v3.RepositoryOptsArgs(repo=plan.chart.repository) if plan.chart.repository else None,
        name="argocd",
        namespace=plan.namespace,
        values=plan.values,
        timeout=int(plan.timeout_minutes * 60),
        opts=pulumi.ResourceOptions.merge(
            options,
            # Argo CD may keep itself as Git says, afterwards: taking the chart away would take all Applications along.
            pulumi.ResourceOptions(depends_on=[namespace], protect=True, retain_on_delete=True),
        ),
    )
    needed: list[pulumi.Resource] = [release]
    if credentials is not None:
        needed.append(_declare_credentials(plan, credentials, options, namespace))
    k8s.apiextensions.CustomResource(
        "root",
        api_version="argoproj.io/v1alpha1",
        kind="Application",
        metadata={"name": ROOT, "namespace": plan.namespace},
        spec=plan.root,
        opts=pulumi.ResourceOptions.merge(
            options, pulumi.ResourceOptions(depends_on=needed, protect=True, retain_on_delete=True)
        ),
    )
    pulumi.export("root", f"{plan.namespace}/{ROOT}")
    pulumi.export("chart", f"{plan.chart.name} {plan.chart.version}")


def _declare_credentials(
    plan: ArgoCd, credentials: Mapping[str, str], options: pulumi.ResourceOptions, namespace: pulumi.Resource
) -> k8s.core.v1.Secret:
    given = pulumi.Output.secret({"type": "git", "url": plan.repository, **credentials})
    return k8s.core.v1.Secret(
        "repository",
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=_REPOSITORY_SECRET,
            namespace=plan.namespace,
            labels={"argocd.argoproj.io/secret-type": "repository"},
        ),
        string_data=given,
        opts=pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[namespace])),
    )
