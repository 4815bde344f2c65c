"""What else belongs to a Cluster: objects that name it and cannot be changed to name another.

``spec.cluster`` of a ScheduledBackup, Pooler, Database, DatabaseRole, Publication or Subscription is immutable
(CloudNativePG 1.30), so when another Cluster becomes the canonical one each of them is created again. The next version
may have more such kinds: the API server is asked which it has. Pure.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dr.cnpg.cluster import SCHEDULED_BACKUP
from dr.gitops.manifests import BACKUP, cluster_of
from dr.kube.objects import ObjectKey, identity
from dr.traffic.writer_model import POOLER, held_setting

GROUP = "postgresql.cnpg.io"
_KEPT_METADATA = ("labels", "annotations")
_FOREIGN_MARKS = ("argocd.argoproj.io/", "kubectl.kubernetes.io/")
_OBJECTS = re.compile(r"/apis/[^/]+/[^/]+/namespaces/\{namespace\}/(?P<plural>[^/]+)")
"""The path of all objects of a kind in a namespace, as OpenAPI writes it."""


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """The kinds of CloudNativePG's group whose objects may belong to a Cluster, each with its plural.

    ``plurals`` are those that name it in ``spec.cluster.name``; those of ``unclear`` have other fields about Clusters,
    or fields that their schema does not tell.
    """

    plurals: Mapping[str, str]
    unclear: Mapping[str, str]

    @classmethod
    def from_openapi(cls, document: Mapping[str, Any]) -> "Kinds":
        """Read the API server's OpenAPI v3 document of the group's version."""
        specs = {
            named["kind"]: (schema.get("properties") or {}).get("spec") or {}
            for schema in document["components"]["schemas"].values()
            for named in schema.get("x-kubernetes-group-version-kind") or ()
        }
        plurals: dict[str, str] = {}
        unclear: dict[str, str] = {}
        for path, calls in document["paths"].items():
            found = _OBJECTS.fullmatch(path)
            kind = str(((calls.get("get") or {}).get("x-kubernetes-group-version-kind") or {}).get("kind") or "")
            if found and kind not in {"Cluster", BACKUP}:
                reference = (specs[kind].get("properties") or {}).get("cluster") or {}
                if "name" in (reference.get("properties") or {}):
                    plurals[kind] = found["plural"]
                elif _about_clusters(specs[kind]):
                    unclear[kind] = found["plural"]
        return cls(plurals=plurals, unclear=unclear)


def _about_clusters(schema: Any) -> bool:
    """Whether a field that the schema describes may name a Cluster."""
    if isinstance(schema, list):
        return any(map(_about_clusters, schema))
    if not isinstance(schema, Mapping):
        return False
    fields = schema.get("properties") or {}
    return (
        schema.get("x-kubernetes-preserve-unknown-fields") is True
        or any("cluster" in name.lower() or _about_clusters(field) for name, field in fields.items())
        or any(_about_clusters(schema.get(key)) for key in ("items", "additionalProperties", "allOf"))
    )


@dataclass(frozen=True, kw_only=True)
class Dependant:
    """One such object. ``manifest`` is what it would be applied from, without what the API server adds. ``awaited``
    says that somebody has to do something before it can be gone: it has finalizers.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    cluster: str
    manifest: Mapping[str, Any]
    awaited: bool = False

    @classmethod
    def from_object(cls, kind: str, raw: Mapping[str, Any]) -> "Dependant":
        """Read the object as the Kubernetes API returns it."""
        metadata = raw["metadata"]
        kept: dict[str, Any] = {"name": metadata["name"], "namespace": metadata["namespace"]}
        for key in _KEPT_METADATA:
            values = {name: value for name, value in (metadata.get(key) or {}).items() if not _foreign(name)}
            if values:
                kept[key] = values
        return cls(
            kind=kind,
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            cluster=raw["spec"]["cluster"]["name"],
            manifest={"apiVersion": raw["apiVersion"], "kind": kind, "metadata": kept, "spec": raw["spec"]},
            awaited=bool(metadata.get("finalizers")),
        )

    @property
    def key(self) -> ObjectKey:
        """What names it."""
        return ObjectKey(GROUP, self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind} {self.name}"


def successors(
    dependants: Collection[Dependant],
    documents: Collection[Mapping[str, Any]],
    *,
    cluster: str,
    namespace: str,
    held: Mapping[str, Any],
) -> tuple[Mapping[str, Any], ...]:
    """The manifests of what takes the place of ``dependants`` for ``cluster``: Git's (``documents``) for those that it
    declares by kind and name, and for each other one the object itself with the new Cluster's name. Git may not know
    all of them: they often belong to an application. Of documents of one name the last counts. ``held`` are the
    settings that this tool has changed, as they were before.
    """
    declared = [_placed(document, cluster, namespace) for document in documents if cluster_of(document)]
    found = {identity(manifest): manifest for manifest in declared}
    for dependant in dependants:
        manifest = _moved(dependant, cluster, held)
        taken = found.get(identity(manifest))
        if taken is not None and taken not in declared and taken["spec"] != manifest["spec"]:
            # Two generations' schedules would both be called after the new Cluster.
            manifest = {**manifest, "metadata": {**manifest["metadata"], "name": dependant.name}}
        found.setdefault(identity(manifest), manifest)
    return tuple(found.values())


def successor_name(name: str, former: str, cluster: str) -> str:
    """What a ScheduledBackup that bears its Cluster's name is called for another one."""
    named_after = name == former or name.startswith(f"{former}-")
    return cluster + name.removeprefix(former) if named_after else name


def unmade(
    wanted: Collection[Mapping[str, Any]], live: Collection[Dependant], *, cluster: str
) -> Iterator[Mapping[str, Any]]:
    """Those of ``wanted`` that are not there for ``cluster`` yet."""
    there = {(one.kind, one.name) for one in live if one.cluster == cluster}
    yield from (manifest for manifest in wanted if identity(manifest) not in there)


def strings_in(spec: object, names: Collection[str]) -> set[str]:
    """Those of ``names`` that stand anywhere in ``spec``, whatever the field: the kinds that can name a Secret have
    dozens of fields for it.
    """
    if isinstance(spec, str):
        return {spec} & set(names)
    parts = spec.values() if isinstance(spec, Mapping) else spec if isinstance(spec, list) else ()
    return {name for part in parts for name in strings_in(part, names)}


def _moved(dependant: Dependant, cluster: str, held: Mapping[str, Any]) -> Mapping[str, Any]:
    manifest = dependant.manifest
    name = dependant.name
    if dependant.kind == SCHEDULED_BACKUP:
        name = successor_name(name, dependant.cluster, cluster)
    spec = {**manifest["spec"], "cluster": {**manifest["spec"]["cluster"], "name": cluster}}
    if dependant.kind == POOLER:
        # What the tool has paused is not what its owner wants.
        before = held_setting(held, POOLER, dependant.namespace, dependant.name)
        bouncer = {key: value for key, value in (spec.get("pgbouncer") or {}).items() if key != "paused" or not before}
        spec["pgbouncer"] = bouncer | ({"paused": before.setting} if before and before.setting is not None else {})
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}, "spec": spec}


def _placed(document: Mapping[str, Any], cluster: str, namespace: str) -> Mapping[str, Any]:
    """The document with its namespace, and of ``cluster``: what was carried may be of an earlier, abandoned run."""
    spec = {**document["spec"], "cluster": {**document["spec"]["cluster"], "name": cluster}}
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}, "spec": spec}


def _foreign(name: str) -> bool:
    """Whether an annotation or label is another tool's mark on the old object."""
    return name.startswith(_FOREIGN_MARKS)
