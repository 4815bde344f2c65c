"""What of a source's specification has to be adapted, or looked at, when it runs under another Cluster's name. Pure.

CloudNativePG names everything after the Cluster, its pods' label and its service account among them; and a
specification may name Secrets, which are no part of a backup.
"""

from collections.abc import Iterator, Mapping
from typing import Any

CLUSTER_LABEL = "cnpg.io/cluster"
_SCHEDULING = ("affinity", "topologySpreadConstraints")
_GOOGLE_ACCOUNT = "iam.gke.io/gcp-service-account"
_CERTIFICATES = ("serverCASecret", "serverTLSSecret", "clientCASecret", "replicationTLSSecret")


def rescheduled(spec: Mapping[str, Any], *, source: str, name: str) -> dict[str, Any]:
    """``spec`` with scheduling rules that are about the source's own pods made about those of ``name``.

    Left as they are, they would keep the recovered pods away from the broken Cluster's rather than from each other.
    """
    return {key: _renamed(value, source, name) if key in _SCHEDULING else value for key, value in spec.items()}


def probed_often(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The ``probes`` section for a Cluster that people wait for: as in ``spec``, else every second.

    CloudNativePG has its pods looked at every 10 s by default, when they start and again before they count as ready, so
    that a database that serves is often not used for another 10 to 20 s. How long a pod may fail stays as it was: the
    startup threshold is made of ``startDelay`` and the period, readiness takes 30 s (its ``pkg/specs/pods.go``).
    """
    return {
        "startup": {"periodSeconds": 1},
        "readiness": {"periodSeconds": 1, "failureThreshold": 30},
        **(spec.get("probes") or {}),
    }


def _renamed(value: Any, source: str, name: str) -> Any:
    if isinstance(value, list):
        return [_renamed(part, source, name) for part in value]
    if not isinstance(value, Mapping):
        return value
    changed = {key: _renamed(part, source, name) for key, part in value.items()}
    if changed.get(CLUSTER_LABEL) == source:
        changed[CLUSTER_LABEL] = name
    if changed.get("key") == CLUSTER_LABEL and "values" in changed:
        changed["values"] = [name if part == source else part for part in changed["values"]]
    return changed


def named_by(spec: Mapping[str, Any], store: Mapping[str, Any]) -> tuple[str, ...]:
    """The Secrets that a specification, and the definition of its object store, need besides the owner's password:
    without one of them nothing starts, or nothing is archived.
    """
    return tuple(sorted({name for name in _secrets(spec, store) if name}))


def _secrets(spec: Mapping[str, Any], store: Mapping[str, Any]) -> Iterator[str | None]:
    yield (spec.get("superuserSecret") or {}).get("name")
    for role in (spec.get("managed") or {}).get("roles") or ():
        yield (role.get("passwordSecret") or {}).get("name")
    for key in _CERTIFICATES:
        yield (spec.get("certificates") or {}).get(key)
    for pull in spec.get("imagePullSecrets") or ():
        yield pull.get("name")
    for credentials in ("googleCredentials", "s3Credentials", "azureCredentials"):
        for reference in (store.get(credentials) or {}).values():
            if isinstance(reference, Mapping):
                yield reference.get("name")
    for variable in spec.get("env") or ():
        yield ((variable.get("valueFrom") or {}).get("secretKeyRef") or {}).get("name")
    for source in spec.get("envFrom") or ():
        yield (source.get("secretRef") or {}).get("name")


def identity_warning(spec: Mapping[str, Any], *, namespace: str, name: str, project: str) -> Iterator[str]:
    """A word on Workload Identity: a new Cluster has a Kubernetes service account of its own, which nobody has bound
    (GKE docs, "Authenticate to Google Cloud APIs from GKE workloads"). None where the account is given by name.
    """
    template = spec.get("serviceAccountTemplate") or {}
    account = ((template.get("metadata") or {}).get("annotations") or {}).get(_GOOGLE_ACCOUNT)
    if account and not spec.get("serviceAccountName"):
        member = f"serviceAccount:{project}.svc.id.goog[{namespace}/{name}]"
        yield (
            f"{name} reaches the bucket as {account} only if that account lets it: gcloud iam service-accounts "
            f"add-iam-policy-binding {account} --project {project} --role roles/iam.workloadIdentityUser --member "
            f"'{member}'"
        )
