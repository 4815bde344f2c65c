"""Flux, by the labels that it puts on what it applies."""

from dataclasses import replace

from dr.gitops.flux import flux_warnings
from tests.support.builders import a_source, a_workload

BY_KUSTOMIZE = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
BY_HELM = {"helm.toolkit.fluxcd.io/name": "database", "helm.toolkit.fluxcd.io/namespace": "data"}


def test_what_flux_manages_is_named_with_the_commands_that_suspend_it() -> None:
    """E29."""
    managed = replace(a_workload("api"), labels=BY_KUSTOMIZE)
    (warning,) = flux_warnings(
        [managed, a_workload("worker"), None],
        [replace(a_source(), labels=BY_HELM), None],
        service="prod-postgres",
        service_labels=BY_KUSTOMIZE,
    )
    assert warning == (
        "Flux manages Cluster postgres-prod, Deployment api, Service prod-postgres and puts back what is changed. "
        "Unless it is suspended already: flux -n data suspend helmrelease database; "
        "flux -n flux-system suspend kustomization shop. Resume it when Git says what the cluster has."
    )


def test_without_flux_there_is_nothing() -> None:
    plain = {"app.kubernetes.io/instance": "shop"}
    labelled = replace(a_workload("api"), labels=plain)
    assert list(flux_warnings([labelled], [a_source()], service="prod-postgres", service_labels={})) == []
