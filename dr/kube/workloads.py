"""The Deployments that write to the database, and the Services and Secrets around it."""

from collections.abc import Iterator, Mapping, Sequence
from threading import Event
from typing import Any

from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY, CopiedSecret, Workload, problem_of_copy

_ARGO_MARKS = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_CREDENTIALS = ("username", "password")
_AUTHORITY = ("ca.crt", "ca.key")


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
        f"look: {api.commands.kubectl('get', 'deployment,hpa,pods', namespace=namespace)}; "
        "pause what manages them (Argo CD?) and repeat",
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
        f"look: {api.commands.kubectl('get', 'pods', namespace=namespace)}; "
        f"{api.commands.kubectl('logs', f'deployment/{left[0]}', namespace=namespace)}",
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
    return name_and_labels(api, namespace, name)[0]


def name_and_labels(api: KubernetesApi, namespace: str, name: str) -> tuple[str | None, Mapping[str, str]]:
    """The Service's :func:`external_name`, and its labels, none when there is no such Service: in one read."""
    raw = api.find(f"read the Service {namespace}/{name}", api.core.read_namespaced_service, name, namespace)
    return (None, {}) if raw is None else (raw.spec.external_name or "", dict(raw.metadata.labels or {}))


def read_secret(api: KubernetesApi, namespace: str, name: str) -> Mapping[str, str] | None:
    """The Secret's data, base64 as Kubernetes keeps it, or None."""
    raw = api.find(f"read the Secret {namespace}/{name}", api.core.read_namespaced_secret, name, namespace)
    return None if raw is None else dict(raw.data or {})


def copied_credentials(api: KubernetesApi, namespace: str, *, source: str, name: str) -> CopiedSecret:
    """How the Secret ``name`` compares with ``source``, which it is a copy of, in user name and password. An earlier
    copy that this user may not change counts as foreign.
    """
    return _copied(api, namespace, read_secret(api, namespace, source) or {}, name=name, keys=_CREDENTIALS)


def _copied(
    api: KubernetesApi, namespace: str, wanted: Mapping[str, str], *, name: str, keys: Sequence[str]
) -> CopiedSecret:
    raw = api.find(f"read the Secret {namespace}/{name}", api.core.read_namespaced_secret, name, namespace)
    if raw is None:
        return CopiedSecret.MISSING
    data = raw.data or {}
    if all(data.get(key) == wanted.get(key) for key in keys):
        return CopiedSecret.SAME
    ours = MANAGED_BY.items() <= (raw.metadata.labels or {}).items()
    what = f"ask whether the Secret {namespace}/{name} may be changed"
    may = ours and api.may(what, "patch", "secrets", namespace, name=name)
    return CopiedSecret.OLD if may else CopiedSecret.FOREIGN


def copied_authority(api: KubernetesApi, namespace: str, *, source: str, name: str) -> CopiedSecret | None:
    """How the CA in the Secret ``name`` compares with the one in ``source``; None where there is none, or none that
    this user may read. A CA is its key: CloudNativePG renews the certificate with the same one (``renewCASecret`` in
    its ``cluster_pki.go``).
    """
    data = _authority(api, namespace, source)
    return None if data is None else _copied(api, namespace, data, name=name, keys=_AUTHORITY[1:])


def _authority(api: KubernetesApi, namespace: str, source: str) -> Mapping[str, str] | None:
    try:
        data = read_secret(api, namespace, source) or {}
    except AccessError as error:
        if error.code != "forbidden":
            raise
        return None
    return {key: data[key] for key in _AUTHORITY} if data.keys() >= set(_AUTHORITY) else None


def copy_authority(api: KubernetesApi, namespace: str, *, source: str, name: str, in_use: bool) -> str:
    """Make the Secret ``name`` with the CA of ``source``, unless a Cluster has another one there ``in_use``; returns
    what was done, in a word.
    """
    data = _authority(api, namespace, source)
    if data is None:
        return f"is not a copy: {source} has no CA that can be read"
    there = _copied(api, namespace, data, name=name, keys=_AUTHORITY[1:])
    if there is CopiedSecret.SAME:
        return "was there"
    if in_use or there is CopiedSecret.FOREIGN:
        return f"has another CA than {source}"
    return _write_copy(api, namespace, name, "Opaque", data, there)


def _write_copy(
    api: KubernetesApi, namespace: str, name: str, kind: str, data: Mapping[str, str], there: CopiedSecret
) -> str:
    if there is CopiedSecret.MISSING:
        metadata = {"name": name, "labels": {**MANAGED_BY, "cnpg.io/reload": "true"}}
        body = {"metadata": metadata, "type": kind, "data": dict(data)}
        api.ask(f"create the Secret {namespace}/{name}", api.core.create_namespaced_secret, namespace, body)
        return "made"
    change = {"data": dict(data)}
    api.ask(f"change the Secret {namespace}/{name}", api.core.patch_namespaced_secret, name, namespace, change)
    return "was an old copy, and is written again"


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
    there = _copied(api, namespace, data, name=name, keys=_CREDENTIALS)
    if problem := problem_of_copy(there, namespace, source=source, name=name, in_use=in_use, commands=api.commands):
        raise StepFailedError(problem.code, problem.cause, problem.remedy)
    if there is CopiedSecret.SAME:
        return "was there"
    credentials = {key: data[key] for key in _CREDENTIALS}
    return _write_copy(api, namespace, name, "kubernetes.io/basic-auth", credentials, there)
