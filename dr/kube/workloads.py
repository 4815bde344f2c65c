"""The Deployments that write to the database, and the Services and Secrets around it."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from dr.core.errors import StepFailedError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY, CopiedSecret, Workload, problem_of_copy

_ARGO_MARKS = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_CREDENTIALS = ("username", "password")


def read_deployment(api: KubernetesApi, namespace: str, name: str) -> Workload | None:
    """The Deployment as it is now, or None."""
    raw = api.find(f"read the Deployment {namespace}/{name}", api.apps.read_namespaced_deployment, name, namespace)
    if raw is None:
        return None
    marks = {**(raw.metadata.labels or {}), **(raw.metadata.annotations or {})}
    return Workload(
        name=name,
        replicas=raw.spec.replicas,
        selector=",".join(f"{key}={value}" for key, value in (raw.spec.selector.match_labels or {}).items()),
        argo_managed=any(mark in marks for mark in _ARGO_MARKS),
        labels=dict(raw.metadata.labels or {}),
        secrets=tuple(sorted({name for name in _secrets(raw.spec.template.spec) if name})),
    )


def _secrets(pod: Any) -> Iterator[str | None]:
    for container in (*(pod.containers or ()), *(pod.init_containers or ())) if pod else ():
        for variable in container.env or ():
            if variable.value_from and variable.value_from.secret_key_ref:
                yield variable.value_from.secret_key_ref.name
        for source in container.env_from or ():
            yield source.secret_ref.name if source.secret_ref else None
    for volume in (pod.volumes or ()) if pod else ():
        yield volume.secret.secret_name if volume.secret else None


def scale(api: KubernetesApi, namespace: str, name: str, replicas: int) -> None:
    """Set the wanted count of a Deployment.

    At 0 a HorizontalPodAutoscaler lets it be: autoscaling is off for a target of 0 replicas (Kubernetes docs,
    "Horizontal Pod Autoscaling", "Implicit maintenance-mode deactivation").
    """
    api.ask(
        f"scale the Deployment {namespace}/{name} to {replicas}",
        api.apps.patch_namespaced_deployment_scale,
        name,
        namespace,
        {"spec": {"replicas": replicas}},
    )


def await_stopped(
    api: KubernetesApi, namespace: str, selectors: Mapping[str, str], *, limit: float, stop: Event
) -> None:
    """Wait until no pod of the Deployments is left, terminating ones included: one of those can still write.

    ``selectors`` maps a Deployment's name to its pod selector; ``limit`` is in seconds. Raises StepFailedError
    ``writers-still-running`` at the limit.
    """
    left = dict(selectors)
    for _ in poll(limit, stop=stop, what=f"the pods of {', '.join(sorted(left))} to end", every=0.1):
        for name, selector in tuple(left.items()):
            pods = api.ask(
                f"list the pods of {namespace}/{name}", api.core.list_namespaced_pod, namespace, label_selector=selector
            ).items
            if not any(pod.status.phase in {"Pending", "Running", "Unknown"} for pod in pods):
                del left[name]
        if not left:
            return
    raise StepFailedError(
        "writers-still-running",
        f"pods of {', '.join(sorted(left))} still run {limit:.0f} s after scaling to 0; what scales them back?",
        f"look: kubectl get deployment,hpa,pods -n {namespace}; pause what manages them (Argo CD?) and repeat",
    )


def await_ready(api: KubernetesApi, namespace: str, names: Sequence[str], *, limit: float, stop: Event) -> None:
    """Wait until every Deployment has rolled out: all wanted pods are of the newest template and available.

    ``limit`` is in seconds. Raises StepFailedError ``writers-not-ready`` at the limit.
    """
    left = list(names)
    for _ in poll(limit, stop=stop, what=f"{', '.join(names)} to become ready"):
        left = [name for name in left if not _rolled_out(api, namespace, name)]
        if not left:
            return
    raise StepFailedError(
        "writers-not-ready",
        f"{', '.join(left)} in {namespace} did not become ready within {limit:.0f} s",
        f"look: kubectl get pods -n {namespace}; kubectl logs -n {namespace} deployment/{left[0]}",
    )


def _rolled_out(api: KubernetesApi, namespace: str, name: str) -> bool:
    """As ``kubectl rollout status`` decides it."""
    found = api.ask(f"read the Deployment {namespace}/{name}", api.apps.read_namespaced_deployment, name, namespace)
    status, wanted = found.status, found.spec.replicas
    return bool(
        (status.observed_generation or 0) >= found.metadata.generation
        and (status.updated_replicas or 0) == wanted
        and (status.available_replicas or 0) == wanted
        and (status.replicas or 0) == wanted
    )


def external_name(api: KubernetesApi, namespace: str, name: str) -> str | None:
    """The externalName of the Service, empty when it is of another type, or None when there is no such Service."""
    raw = api.find(f"read the Service {namespace}/{name}", api.core.read_namespaced_service, name, namespace)
    return None if raw is None else (raw.spec.external_name or "")


def service_labels(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, str]:
    """The Service's labels, none when there is no such Service."""
    raw = api.find(f"read the Service {namespace}/{name}", api.core.read_namespaced_service, name, namespace)
    return {} if raw is None else dict(raw.metadata.labels or {})


def read_secret(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, str] | None:
    """The Secret's data, base64 as Kubernetes keeps it, or None."""
    raw = api.find(f"read the Secret {namespace}/{name}", api.core.read_namespaced_secret, name, namespace)
    return None if raw is None else dict(raw.data or {})


def copied_credentials(api: KubernetesApi, namespace: str, *, source: str, name: str) -> CopiedSecret:
    """How the Secret ``name`` compares with ``source``, which it is a copy of, in user name and password. An earlier
    copy that this user may not change counts as foreign.
    """
    raw = api.find(f"read the Secret {namespace}/{name}", api.core.read_namespaced_secret, name, namespace)
    if raw is None:
        return CopiedSecret.MISSING
    data, wanted = raw.data or {}, read_secret(api, namespace, source) or {}
    if all(data.get(key) == wanted.get(key) for key in _CREDENTIALS):
        return CopiedSecret.SAME
    ours = MANAGED_BY.items() <= (raw.metadata.labels or {}).items()
    may = ours and api.may(f"ask whether the Secret {namespace}/{name} may be changed", "patch", "secrets", namespace)
    return CopiedSecret.OLD if may else CopiedSecret.FOREIGN


def copy_credentials(api: KubernetesApi, namespace: str, *, source: str, name: str, in_use: bool) -> str:
    """Make the Secret ``name`` with the user name and password of ``source``; returns what was done, in a word.

    The type and the two keys are what CloudNativePG wants of ``bootstrap.recovery.secret``. An earlier copy that
    differs is written again, unless it is ``in_use`` by a Cluster. Raises StepFailedError when the source Secret is not
    there, or lacks one of the keys, and ``secret-differs`` when what is there is not this tool's to change.
    """
    data = read_secret(api, namespace, source)
    if data is None:
        raise StepFailedError(
            "secret-missing", f"there is no Secret {namespace}/{source}", "restore the Secret of the database's owner"
        )
    if missing := [key for key in _CREDENTIALS if key not in data]:
        raise StepFailedError(
            "secret-incomplete",
            f"the Secret {namespace}/{source} has no {' and no '.join(missing)}",
            "add what is missing, and repeat the command",
        )
    body: dict[str, Any] = {
        "metadata": {"name": name, "labels": {**MANAGED_BY, "cnpg.io/reload": "true"}},
        "type": "kubernetes.io/basic-auth",
        "data": {key: data[key] for key in _CREDENTIALS},
    }
    there = copied_credentials(api, namespace, source=source, name=name)
    if problem := problem_of_copy(there, namespace, source=source, name=name, in_use=in_use):
        raise StepFailedError(problem.code, problem.cause, problem.remedy)
    if there is CopiedSecret.SAME:
        return "was there"
    if there is CopiedSecret.MISSING:
        api.ask(f"create the Secret {namespace}/{name}", api.core.create_namespaced_secret, namespace, body)
        return "made"
    change = {"data": body["data"]}
    api.ask(f"change the Secret {namespace}/{name}", api.core.patch_namespaced_secret, name, namespace, change)
    return f"had another password than {source}, and has the same now"
