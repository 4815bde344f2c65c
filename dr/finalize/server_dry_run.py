"""Would applying a manifest change the object that is there? Asked of the API server, which knows all defaults.

Argo CD would apply Git's manifests the moment it is let go. To a custom resource it sends a merge patch, in which lists
are replaced as a whole (kubectl's apply does the same); so that is what is tried, as a dry run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dr.cnpg.clusters import GROUP, PLURAL, VERSION
from dr.kube.api import KubernetesApi


def would_change(api: KubernetesApi, manifest: Mapping[str, Any], *, namespace: str) -> tuple[str, ...]:
    """What applying the manifest of a Cluster or a Service would change in its specification: "Cluster x: spec.y is 1
    here, 2 in Git". Changes nothing. Raises AccessError.
    """
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    about = f"{kind} {name}"
    body = {"spec": manifest["spec"]}
    if kind == "Cluster":
        where = (GROUP, VERSION, namespace, PLURAL, name)
        now = api.find(f"read the {about}", api.custom.get_namespaced_custom_object, *where)
        if now is None:
            return (f"{about} is not there",)
        what = f"see what applying the {about} would change"
        then = api.ask(what, api.custom.patch_namespaced_custom_object, *where, body, dry_run="All")
    else:
        now = _plain(api, f"read the {about}", api.core.read_namespaced_service, name, namespace)
        what = f"see what applying the {about} would change"
        then = _plain(api, what, api.core.patch_namespaced_service, name, namespace, body, dry_run="All")
    return tuple(f"{about}: {difference}" for difference in _differences("spec", now["spec"], then["spec"]))


def _plain(api: KubernetesApi, what: str, call: Any, *args: Any, **options: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.ask(what, call, *args, _preload_content=False, **options).json()
    return found


def _differences(path: str, here: Any, in_git: Any) -> Iterator[str]:
    if isinstance(here, Mapping) and isinstance(in_git, Mapping):
        for key in sorted({*here, *in_git}):
            yield from _differences(f"{path}.{key}", here.get(key), in_git.get(key))
    elif here != in_git:
        yield f"{path} is {here!r} here, {in_git!r} in Git"
