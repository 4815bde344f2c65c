"""The objects that belong to a Cluster, who else uses what it owns, and what an apply would change of them.

Argo CD would apply Git's manifests once auto-sync is on again. To a custom resource it sends a merge patch, in which
lists are replaced as a whole (kubectl's apply does the same); so that is what is tried, as a dry run.
"""

from collections.abc import Collection, Iterator, Mapping
from threading import Event
from typing import Any

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import GROUP, PLURAL, VERSION, list_objects
from dr.cnpg.recovered import app_secret_name, applied_later, ca_secret_name
from dr.core.errors import StepFailedError
from dr.core.waiting import poll
from dr.finalize.dependants import Dependant, Kinds, strings_in
from dr.kube.api import KubernetesApi
from dr.kube.objects import MANAGED_BY, identity

_BACKUPS = "backups"


def read_kinds(api: KubernetesApi) -> Kinds:
    """The kinds that may belong to a Cluster, by the schemas of the API server itself. Every user may read those (the
    ClusterRole ``system:discovery``). Raises AccessError.
    """
    what = "read the schemas of CloudNativePG's kinds"
    return Kinds.from_openapi(api.read_path(what, f"/openapi/v3/apis/{GROUP}/{VERSION}"))


def list_dependants(
    api: KubernetesApi, namespace: str, clusters: Collection[str], kinds: Kinds
) -> tuple[Dependant, ...]:
    """The objects of the namespace that belong to one of ``clusters``. Raises AccessError."""
    found = [
        Dependant.from_object(kind, {"apiVersion": f"{GROUP}/{VERSION}", **raw})
        for kind, plural in kinds.plurals.items()
        for raw in list_objects(api, namespace, plural)
    ]
    return tuple(one for one in found if one.cluster in clusters)


def list_unclear(api: KubernetesApi, namespace: str, clusters: Collection[str], kinds: Kinds) -> tuple[str, ...]:
    """The objects of kinds that are not understood which name one of ``clusters`` somewhere. Raises AccessError."""
    return tuple(
        f"{kind} {raw['metadata']['name']}"
        for kind, plural in kinds.unclear.items()
        for raw in list_objects(api, namespace, plural)
        if strings_in(raw.get("spec"), clusters)
    )


def delete_dependant(api: KubernetesApi, one: Dependant, plural: str, *, limit: float, stop: Event) -> None:
    """Delete the object and wait until it is gone. ``limit`` is in seconds.

    Raises StepFailedError ``dependant-not-gone`` at the limit.
    """
    where = (GROUP, VERSION, one.namespace, plural, one.name)
    body = {"preconditions": {"uid": one.uid}}
    api.find(f"delete the {one}", api.custom.delete_namespaced_custom_object, *where, body=body)
    for _ in poll(limit, stop=stop, what=f"the {one} to go"):
        now = api.find(f"read the {one}", api.custom.get_namespaced_custom_object, *where)
        if now is None or now["metadata"]["uid"] != one.uid:
            return
    raise StepFailedError(
        "dependant-not-gone",
        f"the {one} is still there {limit:.0f} s after its deletion",
        f"see what holds it: {api.commands.kubectl('describe', one.kind.lower(), one.name, namespace=one.namespace)}",
    )


def create(api: KubernetesApi, manifest: Mapping[str, Any], plural: str) -> None:
    """Create an object of CloudNativePG's group from its manifest. Raises AccessError."""
    what = f"create the {manifest['kind']} {manifest['metadata']['name']}"
    where = (GROUP, VERSION, manifest["metadata"]["namespace"], plural)
    api.ask(what, api.custom.create_namespaced_custom_object, *where, dict(manifest))


def try_to_create(api: KubernetesApi, manifest: Mapping[str, Any], plural: str) -> None:
    """See that the API server would take the object, under a name that is free: its own may be taken still. Changes
    nothing. Raises AccessError.
    """
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "name"}
    body = {**manifest, "metadata": {**metadata, "generateName": f"{manifest['metadata']['name']}-"}}
    what = f"see that the {manifest['kind']} {manifest['metadata']['name']} can be created"
    where = (GROUP, VERSION, metadata["namespace"], plural)
    api.ask(what, api.custom.create_namespaced_custom_object, *where, body, dry_run="All")


def secret_users(
    api: KubernetesApi, namespace: str, clusters: Collection[ClusterSnapshot], kinds: Mapping[str, str]
) -> tuple[str, ...]:
    """Who, besides ``clusters`` themselves, names a Secret that would go with them: "Pod api-1 uses postgres-prod-app".
    ``kinds`` are those of CloudNativePG to look at, with their plurals.

    Secrets are used from within their own namespace only, so there is nothing to look for elsewhere.
    """
    if not clusters:
        return ()
    secrets = _secrets_of(api, namespace, clusters)
    names = {cluster.name for cluster in clusters}
    found: set[str] = set()
    for kind, raw in _possible_users(api, namespace, {"Cluster": PLURAL, **kinds}):
        metadata = raw["metadata"]
        labels = metadata.get("labels") or {}
        theirs = labels.get("cnpg.io/cluster") in names or (kind == "Cluster" and metadata["name"] in names)
        if not theirs:
            used = sorted(strings_in(raw["spec"], secrets))
            found.update(f"{kind} {metadata['name']} uses {secret}" for secret in used)
    return tuple(sorted(found))


def delete_leftovers(api: KubernetesApi, namespace: str, cluster: str) -> None:
    """Delete what a deleted Cluster leaves without an owner: its Backup objects, and the Secrets with the password and
    the CA that this tool made for it. What lies in the bucket stays.
    """
    for raw in list_objects(api, namespace, _BACKUPS):
        if raw["spec"]["cluster"]["name"] == cluster:
            backup = raw["metadata"]["name"]
            where = (GROUP, VERSION, namespace, _BACKUPS, backup)
            api.find(f"delete the Backup {backup}", api.custom.delete_namespaced_custom_object, *where)
    for name in (app_secret_name(cluster), ca_secret_name(cluster)):
        found = api.find(f"read the Secret {name}", api.core.read_namespaced_secret, name, namespace)
        if found is not None and MANAGED_BY.items() <= (found.metadata.labels or {}).items():
            api.find(f"delete the Secret {name}", api.core.delete_namespaced_secret, name, namespace)


def _secrets_of(api: KubernetesApi, namespace: str, clusters: Collection[ClusterSnapshot]) -> set[str]:
    """The Secrets that are deleted with ``clusters``: those they own, and those that this tool made for them."""
    owners = {cluster.uid for cluster in clusters}
    listed = api.ask_plain(f"list the Secrets in {namespace}", api.core.list_namespaced_secret, namespace)
    owned = {
        raw["metadata"]["name"]
        for raw in listed["items"]
        if any(owner["uid"] in owners for owner in raw["metadata"].get("ownerReferences") or ())
    }
    made = {name(cluster.name) for cluster in clusters for name in (app_secret_name, ca_secret_name)}
    return owned | made


def _possible_users(
    api: KubernetesApi, namespace: str, kinds: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Everything of the namespace that may name a Secret, by its kind."""
    typed = {
        "Pod": api.core.list_namespaced_pod,
        "Deployment": api.apps.list_namespaced_deployment,
        "StatefulSet": api.apps.list_namespaced_stateful_set,
        "DaemonSet": api.apps.list_namespaced_daemon_set,
        "CronJob": api.batch.list_namespaced_cron_job,
    }
    for kind, call in typed.items():
        answer = api.ask_plain(f"list the {kind}s in {namespace}", call, namespace)
        for raw in answer["items"]:
            yield kind, raw
    for kind, plural in kinds.items():
        for raw in list_objects(api, namespace, plural):
            yield kind, raw


def dry_run_differences(
    api: KubernetesApi, manifest: Mapping[str, Any], *, namespace: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What applying the manifest of a Cluster or a Service would change in its specification: "Cluster x: spec.y is 1
    here, 2 in Git". The second are those that are as they should be: the derivation of the Cluster has changed the
    field, and Git's value is to be applied. Changes nothing. Raises AccessError.
    """
    kind, name = identity(manifest)
    about = f"{kind} {name}"
    body = {"spec": manifest["spec"]}
    if kind == "Cluster":
        where = (GROUP, VERSION, namespace, PLURAL, name)
        now = api.find(f"read the {about}", api.custom.get_namespaced_custom_object, *where)
        if now is None:
            return (f"{about} is not there",), ()
        what = f"see what applying the {about} would change"
        then = api.ask(what, api.custom.patch_namespaced_custom_object, *where, body, dry_run="All")
    else:
        now = _plain(api, f"read the {about}", api.core.read_namespaced_service, name, namespace)
        what = f"see what applying the {about} would change"
        then = _plain(api, what, api.core.patch_namespaced_service, name, namespace, body, dry_run="All")
    found = [(field, f"{about}: spec.{words}") for field, words in _differences("", now["spec"], then["spec"])]
    later = [field for field, _ in found if kind == "Cluster" and applied_later(field, then)]
    return (
        tuple(words for field, words in found if field not in later),
        tuple(words for field, words in found if field in later),
    )


def _plain(api: KubernetesApi, what: str, call: Any, *args: Any, **options: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = api.ask_plain(what, call, *args, **options)
    return found


def _differences(path: str, here: Any, in_git: Any) -> Iterator[tuple[str, str]]:
    """The fields that differ, each with the words for it. A mapping that is missing on one side has no field."""
    if any(isinstance(one, Mapping) and one for one in (here, in_git)) and all(
        one is None or isinstance(one, Mapping) for one in (here, in_git)
    ):
        here, in_git = here or {}, in_git or {}
        for key in sorted({*here, *in_git}):
            yield from _differences(f"{path}.{key}" if path else key, here.get(key), in_git.get(key))
    elif here != in_git:
        yield path, f"{path} is {here!r} here, {in_git!r} in Git"
