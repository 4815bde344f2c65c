"""How far a new platform has come."""

from typing import Any

from dr.kube.api import KubernetesApi
from dr.rebuild.observe import list_applications, missing_of_cnpg, root_application
from tests.support.doubles import Wire, kube_status

APPLICATIONS = "/apis/argoproj.io/v1alpha1/applications"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/clusters.postgresql.cnpg.io"
DEPLOYMENTS = "/apis/apps/v1/deployments"


def _holding(condition: str, status: str = "True") -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "status": {"conditions": [{"type": condition, "status": status}]}}


def _application(name: str, sync: str = "Synced", health: str = "Healthy", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"sync": {"status": sync}, "health": {"status": health}, **status}}


def test_without_argocd_there_are_no_applications(wire: Wire, api: KubernetesApi) -> None:
    wire.on(APPLICATIONS, b"404 page not found\n", status=404)
    assert list_applications(api) == ()
    wire.on("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root", b"404 page not found\n", status=404)
    assert not root_application(api, "argocd", "root")


def test_applications_tell_whether_they_are_well_and_what_went_wrong(wire: Wire, api: KubernetesApi) -> None:
    failed: dict[str, Any] = {"operationState": {"phase": "Failed", "message": "one or more\nobjects failed"}}
    said: dict[str, Any] = {
        "conditions": [{"type": "ComparisonError", "message": "no access"}, {"type": "SharedWarning"}]
    }
    items = [_application("b"), _application("a", sync="OutOfSync", **failed, **said), {"metadata": {"name": "c"}}]
    wire.on(APPLICATIONS, {"items": items})
    a, b, c = list_applications(api)
    assert (a.settled, a.message) == (False, "no access; one or more objects failed")
    assert (b.settled, b.message) == (True, "")
    assert (c.sync, c.health) == ("Unknown", "Unknown")


def test_the_root_application_is_looked_for_by_its_name(wire: Wire, api: KubernetesApi) -> None:
    path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/root"
    wire.on(path, kube_status(404, "not found", name="root"), status=404)
    assert not root_application(api, "argocd", "root")
    wire.on(path, _application("root"))
    assert root_application(api, "argocd", "root")


def test_cloudnativepg_is_there_with_its_crd_and_its_operator(wire: Wire, api: KubernetesApi) -> None:
    wire.on(CRD, kube_status(404, "not found", name="x"), status=404)
    assert missing_of_cnpg(api) == "the CRD clusters.postgresql.cnpg.io"
    wire.on(CRD, _holding("Established", "False"))
    assert missing_of_cnpg(api) == "the CRD clusters.postgresql.cnpg.io"
    wire.on(CRD, _holding("Established"))
    wire.on(DEPLOYMENTS, {"items": []})
    assert missing_of_cnpg(api) == "CloudNativePG's operator"
    wire.on(DEPLOYMENTS, {"items": [_holding("Available", "False"), _holding("Available")]})
    assert missing_of_cnpg(api) == ""
    assert wire.asked[-1].query["labelSelector"] == "app.kubernetes.io/name=cloudnative-pg"
