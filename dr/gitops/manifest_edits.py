"""What changes in each kind of object when a recovered Cluster becomes the canonical one, and the words for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dr.cnpg.cluster import BARMAN_PLUGIN, PLURALS
from dr.gitops.yaml_splice import Path
from dr.gitops.yaml_text import Edit

OF_A_CLUSTER = tuple(PLURALS)
"""The kinds of CloudNativePG that belong to the Cluster in their ``spec.cluster.name``."""

WHY_NO_BOOTSTRAP = (
    "No bootstrap, on purpose: a Cluster made anew from this file must neither go back to an old recovery",
    "target nor begin empty. CloudNativePG refuses an archive that is not empty; to recover: python -m dr latest",
)


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """What the manifests shall say.

    ``host`` is the DNS name of the Cluster's read-write Service, ``service`` the ExternalName Service that leads to
    it; ``alt_dns_names`` the live ``spec.certificates.serverAltDNSNames``; ``former`` the names of the Clusters whose
    place it takes, of every generation.
    """

    name: str
    namespace: str
    server_name: str
    host: str
    service: str
    alt_dns_names: tuple[str, ...] = ()
    former: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """An edit, and what it does in words."""

    edit: Edit
    words: str


def at(value: Any, *keys: str) -> Any:
    """What stands below ``keys``, or None when that is not there, whatever else is."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def name_of(value: Any) -> str:
    """The object's name."""
    return str(at(value, "metadata", "name") or "")


def cluster_of(value: Any) -> str:
    """The name of the Cluster that the object belongs to."""
    return str(at(value, "spec", "cluster", "name") or "")


@dataclass(frozen=True, kw_only=True)
class ArchivePlace:
    """Where a Cluster's manifest says which folder it archives to, and the key that stands before it."""

    path: Path
    after: str
    server_name: str | None


def archive_of(spec: Any) -> ArchivePlace | None:
    """The place in the ``spec`` of a Cluster: of the in-tree object store, or of the Barman Cloud plugin."""
    store = at(spec, "backup", "barmanObjectStore")
    if isinstance(store, Mapping):
        path: Path = ("spec", "backup", "barmanObjectStore", "serverName")
        return ArchivePlace(path=path, after="destinationPath", server_name=store.get("serverName"))
    plugins = at(spec, "plugins")
    for number, entry in enumerate(plugins if isinstance(plugins, list) else ()):
        if at(entry, "name") == BARMAN_PLUGIN and at(entry, "isWALArchiver"):
            path = ("spec", "plugins", number, "parameters", "serverName")
            return ArchivePlace(path=path, after="barmanObjectName", server_name=at(entry, "parameters", "serverName"))
    return None


def cluster_changes(value: Mapping[str, Any], wanted: Canonical, *, in_use: Collection[Any]) -> Sequence[Change]:
    """The changes of the Cluster. ``in_use`` are the external clusters that something else needs."""
    spec, changes = value["spec"], []

    def change(words: str, path: Path, new: str | tuple[str, ...] | None, **more: Any) -> None:
        changes.append(Change(edit=Edit(path=path, value=new, **more), words=f"Cluster {wanted.name}: {words}"))

    if name_of(value) != wanted.name:
        edit = Edit(path=("metadata", "name"), value=wanted.name)
        changes.append(Change(edit=edit, words=f"Cluster {name_of(value)} becomes {wanted.name}"))
    place = archive_of(spec)
    if place is not None and place.server_name != wanted.server_name:
        change(f"archives to the folder {wanted.server_name}", place.path, wanted.server_name, after=place.after)
    names = wanted.alt_dns_names
    if names and at(spec, "certificates", "serverAltDNSNames") != [*names]:
        certificate = ("spec", "certificates", "serverAltDNSNames")
        change(f"its certificate is made for {', '.join(names)} too", certificate, names, after="backup")
    if "bootstrap" in spec:
        change("without its bootstrap, which is done", ("spec", "bootstrap"), None, comment=WHY_NO_BOOTSTRAP)
    entries = spec.get("externalClusters") or []
    served = [*wanted.former, at(spec, "bootstrap", "recovery", "source")]
    needed = [*in_use, at(spec, "replica", "source"), None]
    names_of_entries = [at(entry, "name") for entry in entries]
    gone = [number for number, name in enumerate(names_of_entries) if name in served and name not in needed]
    whole = "externalClusters" in spec and len(gone) == len(entries)
    if whole:
        change("without externalClusters, which served its recovery", ("spec", "externalClusters"), None)
        return changes
    for number in gone:
        words = f"without the external cluster {names_of_entries[number]}, which served its recovery"
        change(words, ("spec", "externalClusters", number), None)
    return changes


def dependent_changes(value: Mapping[str, Any], wanted: Canonical) -> Sequence[Change]:
    """The changes of an object that belongs to a Cluster."""
    if cluster_of(value) == wanted.name:
        return ()
    kind, name, new = value["kind"], name_of(value), name_afterwards(value, wanted)
    changes = [
        Change(
            edit=Edit(path=("spec", "cluster", "name"), value=wanted.name),
            words=f"{kind} {new}: is of the Cluster {wanted.name}, no longer of {cluster_of(value)}",
        )
    ]
    if new != name:
        edit = Edit(path=("metadata", "name"), value=new)
        changes.insert(0, Change(edit=edit, words=f"{kind} {name} becomes {new}"))
    return changes


def name_afterwards(value: Mapping[str, Any], wanted: Canonical) -> str:
    """The name of what belongs to a Cluster. That of a ScheduledBackup which is made of a former name is made anew."""
    name = name_of(value)
    if value["kind"] != "ScheduledBackup" or cluster_of(value) == wanted.name:
        return name
    for known in sorted({wanted.name, *wanted.former}, key=len, reverse=True):
        if name == known or name.startswith(f"{known}-"):
            return wanted.name + name.removeprefix(known)
    return name


def service_changes(value: Mapping[str, Any], wanted: Canonical) -> Sequence[Change]:
    """The change of the ExternalName Service."""
    before = at(value, "spec", "externalName")
    if before == wanted.host:
        return ()
    edit = Edit(path=("spec", "externalName"), value=wanted.host, after="type")
    return (Change(edit=edit, words=f"Service {wanted.service}: leads to {wanted.host}, no longer to {before}"),)
