"""What else belongs to a Cluster: objects that name it and cannot be changed to name another.

``spec.cluster`` of a ScheduledBackup, Pooler, Database, DatabaseRole, Publication or Subscription is immutable
(CloudNativePG 1.30), so when another Cluster becomes the canonical one each of them is created again. Pure.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dr.cnpg.cluster import PLURALS, SCHEDULED_BACKUP
from dr.kube.objects import ObjectKey
from dr.traffic.writer_steps import POOLER, held_setting

GROUP = "postgresql.cnpg.io"
_KEPT_METADATA = ("labels", "annotations")
_FOREIGN_MARKS = ("argocd.argoproj.io/", "kubectl.kubernetes.io/")


@dataclass(frozen=True, kw_only=True)
class Dependant:
    """One such object. ``manifest`` is what it would be applied from, without what the API server adds."""

    kind: str
    namespace: str
    name: str
    uid: str
    cluster: str
    manifest: Mapping[str, Any]

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
    declared = [_in_namespace(document, namespace) for document in documents if document["kind"] in PLURALS]
    found = {identity(manifest): manifest for manifest in declared}
    for dependant in dependants:
        manifest = _moved(dependant, cluster, held)
        taken = found.get(identity(manifest))
        if taken is not None and taken not in declared and taken["spec"] != manifest["spec"]:
            # Two generations' schedules would both be called after the new Cluster.
            manifest = {**manifest, "metadata": {**manifest["metadata"], "name": dependant.name}}
        found.setdefault(identity(manifest), manifest)
    return tuple(found.values())


def identity(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """The kind and the name."""
    return manifest["kind"], manifest["metadata"]["name"]


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


def named_secrets(spec: object, secrets: Collection[str]) -> set[str]:
    """Those of ``secrets`` whose names stand anywhere in ``spec``, whatever the field: the kinds that can name a Secret
    have dozens of fields for it.
    """
    if isinstance(spec, str):
        return {spec} & set(secrets)
    parts = spec.values() if isinstance(spec, Mapping) else spec if isinstance(spec, list) else ()
    return {name for part in parts for name in named_secrets(part, secrets)}


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


def _in_namespace(document: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    return {**document, "metadata": {"namespace": namespace, **document["metadata"]}}


def _foreign(name: str) -> bool:
    """Whether an annotation or label is another tool's mark on the old object."""
    return name.startswith(_FOREIGN_MARKS)
