"""Whether a new platform has come so far that a database can be declared in it: Argo CD's Applications,
and CloudNativePG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi

_CRD = "clusters.postgresql.cnpg.io"
_OPERATOR = "app.kubernetes.io/name=cloudnative-pg"
"""On the operator's Deployment, whether it comes of the release manifest or of the Helm chart."""
_ARGO = ("argoproj.io", "v1alpha1", "applications")


@dataclass(frozen=True, kw_only=True)
class ApplicationSeen:
    """One Application. ``message`` is what it says went wrong, if anything."""

    name: str
    sync: str
    health: str
    message: str

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "ApplicationSeen":
        """Read the object as the Kubernetes API returns it."""
        status = raw.get("status") or {}
        operation = status.get("operationState") or {}
        said = [str(one.get("message")) for one in status.get("conditions") or () if "Error" in str(one.get("type"))]
        if operation.get("phase") in {"Failed", "Error"}:
            said.append(str(operation.get("message")))
        return cls(
            name=raw["metadata"]["name"],
            sync=(status.get("sync") or {}).get("status") or "Unknown",
            health=(status.get("health") or {}).get("status") or "Unknown",
            message=" ".join("; ".join(said).split())[:300],
        )

    @property
    def settled(self) -> bool:
        """Whether all is as Git says, and well."""
        return (self.sync, self.health) == ("Synced", "Healthy")


def list_applications(api: KubernetesApi) -> tuple[ApplicationSeen, ...]:
    """Argo CD's Applications; none where it is not installed (yet). Raises AccessError."""
    try:
        answer = api.ask("list the Applications", api.custom.list_cluster_custom_object, *_ARGO)
    except AccessError as error:
        if error.code == "api-group-missing":
            return ()
        raise
    return tuple(sorted(map(ApplicationSeen.from_object, answer["items"]), key=lambda one: one.name))


def root_application(api: KubernetesApi, namespace: str, name: str) -> bool:
    """Whether the Application that declares the others is there. Raises AccessError."""
    group, version, plural = _ARGO
    what = f"read the Application {namespace}/{name}"
    try:
        found = api.find(what, api.custom.get_namespaced_custom_object, group, version, namespace, plural, name)
    except AccessError as error:
        if error.code == "api-group-missing":
            return False
        raise
    return found is not None


def missing_of_cnpg(api: KubernetesApi) -> str:
    """What is still missing of CloudNativePG, empty when it can be used. Raises AccessError."""
    crd = api.find(
        f"read the CRD {_CRD}",
        api.custom.get_cluster_custom_object,  # not the typed API: it would build objects of the whole schema
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        _CRD,
    )
    if crd is None or not _holds(crd, "Established"):
        return f"the CRD {_CRD}"
    answer = api.ask(
        "list CloudNativePG's Deployments",
        api.apps.list_deployment_for_all_namespaces,
        label_selector=_OPERATOR,
        _preload_content=False,
    ).json()
    if not any(_holds(deployment, "Available") for deployment in answer["items"]):
        return "CloudNativePG's operator"
    return ""


def _holds(raw: Mapping[str, Any], condition: str) -> bool:
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)
