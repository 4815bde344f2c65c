"""What the platform's manifests in Git have to say once a recovered Cluster is the canonical one. Pure.

Until then Git wants the old Cluster, and whatever applies Git (Argo CD, a person) would bring it back.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dr.cnpg.cluster import BARMAN_PLUGIN
from dr.cnpg.recovered import own_labels
from dr.core.commands import ANY_RUN
from dr.core.errors import Problem, RefusedError
from dr.gitops.yaml_splice import Edit, Path, Value, YamlTextError, edited, read_documents

BACKUP = "Backup"
"""The one kind with a ``spec.cluster.name`` that is never moved: it stands for a base backup that was taken."""

WHY_NO_BOOTSTRAP = (
    "No bootstrap, on purpose: a Cluster recreated from this file must neither go back to an old recovery",
    "target nor begin empty. CloudNativePG refuses an archive that is not empty; to recover: " + ANY_RUN.dr("latest"),
)


@dataclass(frozen=True, kw_only=True)
class Canonical:
    """What the manifests shall say.

    ``host`` is the DNS name of the Cluster's read-write Service, ``service`` the ExternalName Service that leads to
    it; ``alt_dns_names`` the live ``spec.certificates.serverAltDNSNames``; ``former`` the names of the Clusters whose
    place it takes, of every generation, and ``served`` those of the external clusters that they were recovered from;
    ``origin`` is the live external cluster that it was itself recovered from, empty where it names none.
    """

    name: str
    namespace: str
    server_name: str
    host: str
    service: str
    alt_dns_names: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ManifestChange:
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


def cluster_changes(
    value: Mapping[str, Any], wanted: Canonical, *, in_use: Collection[Any]
) -> Sequence[ManifestChange]:
    """The changes of the Cluster. ``in_use`` are the external clusters that something else needs."""
    spec, changes = value["spec"], []

    def change(words: str, path: Path, new: Value | None, **more: Any) -> None:
        changes.append(ManifestChange(edit=Edit(path=path, value=new, **more), words=f"Cluster {wanted.name}: {words}"))

    if name_of(value) != wanted.name:
        edit = Edit(path=("metadata", "name"), value=wanted.name)
        changes.append(ManifestChange(edit=edit, words=f"Cluster {name_of(value)} becomes {wanted.name}"))
    place = archive_of(spec)
    if place is not None and place.server_name != wanted.server_name:
        change(f"archives to the folder {wanted.server_name}", place.path, wanted.server_name, after=place.after)
    names = wanted.alt_dns_names
    if names and at(spec, "certificates", "serverAltDNSNames") != [*names]:
        certificate = ("spec", "certificates", "serverAltDNSNames")
        change(f"its certificate is made for {', '.join(names)} too", certificate, names, after="backup")
    if "bootstrap" in spec:
        change("without its bootstrap, which is done", ("spec", "bootstrap"), None, comment=WHY_NO_BOOTSTRAP)
    for path in own_labels(spec, wanted.former):
        change(f"{path[0]} is about its own pods", ("spec", *path), wanted.name)
    entries = spec.get("externalClusters") or []
    bootstrap = at(spec, "bootstrap")
    served = [*wanted.former, *wanted.served, at(bootstrap, "recovery", "source")]
    imported = at(bootstrap, "pg_basebackup", "source"), at(bootstrap, "initdb", "import", "source", "externalCluster")
    needed = [*in_use, *(at(spec, "replica", key) for key in ("source", "self", "primary")), None]
    names_of_entries = [at(entry, "name") for entry in entries]
    gone = [number for number, name in enumerate(names_of_entries) if name in served and name not in needed]
    done = [name for name in names_of_entries if name in [*served, *imported] and name not in needed]
    whole = "externalClusters" in spec and len(done) == len(entries)
    if whole:
        change("without externalClusters, which served its recovery", ("spec", "externalClusters"), None)
        return changes
    kept = [entry for number, entry in enumerate(entries) if number not in gone]
    if kept and wanted.origin:
        # A list is applied as a whole, and the Cluster's own bootstrap, which cannot be taken back, names this one.
        named = any(at(entry, "name") == wanted.origin["name"] for entry in kept)
        new = kept if named else [wanted.origin, *kept]
        if new != entries:
            words = f"{wanted.origin['name']}, which it was recovered from, among its external clusters"
            change(words, ("spec", "externalClusters"), _as_written(new))
        return changes
    for number in gone:
        words = f"without the external cluster {names_of_entries[number]}, which served its recovery"
        change(words, ("spec", "externalClusters", number), None)
    return changes


def _as_written(value: Any) -> Value:
    if isinstance(value, Mapping):
        return {key: _as_written(inner) for key, inner in value.items()}
    return tuple(map(_as_written, value)) if isinstance(value, list) else value


def dependent_changes(value: Mapping[str, Any], wanted: Canonical) -> Sequence[ManifestChange]:
    """The changes of an object that belongs to a Cluster."""
    if cluster_of(value) == wanted.name:
        return ()
    kind, name, new = value["kind"], name_of(value), name_afterwards(value, wanted)
    changes = [
        ManifestChange(
            edit=Edit(path=("spec", "cluster", "name"), value=wanted.name),
            words=f"{kind} {new}: is of the Cluster {wanted.name}, no longer of {cluster_of(value)}",
        )
    ]
    if new != name:
        edit = Edit(path=("metadata", "name"), value=new)
        changes.insert(0, ManifestChange(edit=edit, words=f"{kind} {name} becomes {new}"))
    return changes


def name_afterwards(value: Mapping[str, Any], wanted: Canonical) -> str:
    """The name of what belongs to a Cluster. That of a ScheduledBackup which is made of a former name changes."""
    name = name_of(value)
    if value["kind"] != "ScheduledBackup" or cluster_of(value) == wanted.name:
        return name
    for known in sorted({wanted.name, *wanted.former}, key=len, reverse=True):
        if name == known or name.startswith(f"{known}-"):
            return wanted.name + name.removeprefix(known)
    return name


def service_changes(value: Mapping[str, Any], wanted: Canonical) -> Sequence[ManifestChange]:
    """The change of the ExternalName Service."""
    before = at(value, "spec", "externalName")
    if before == wanted.host:
        return ()
    edit = Edit(path=("spec", "externalName"), value=wanted.host, after="type")
    return (
        ManifestChange(edit=edit, words=f"Service {wanted.service}: leads to {wanted.host}, no longer to {before}"),
    )


_CNPG = "postgresql.cnpg.io/"
_CLUSTER_KIND = re.compile(r"""["']?kind["']?:\s*["']?Cluster\b""")
_GENERATED = "(?:-(?:rw|ro|r|any|app|superuser|ca|server|replication))?"
"""What CloudNativePG appends to a Cluster's name for the Services and Secrets that it makes."""


@dataclass(frozen=True, kw_only=True)
class ManifestFile:
    """A file of a Git repository. ``path`` is relative to the repository's root, with forward slashes."""

    path: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Rewriting:
    """What came of a rewriting.

    ``files`` are the changed ones only, with their new text; ``changes`` tells people what was changed. ``documents``
    are all objects that have to do with the Cluster, changed or not, as plain values after the rewriting; a Service
    may be missing there, as it may live elsewhere. ``mentions`` are the other places that still name a former
    Cluster, as ``path:line: text``.
    """

    files: tuple[ManifestFile, ...]
    changes: tuple[str, ...]
    documents: tuple[Mapping[str, Any], ...]
    mentions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ManifestObject:
    """One object that has to do with the Cluster, and where it stands."""

    file: ManifestFile
    number: int
    value: Mapping[str, Any]
    kind: str


def rewrite(files: Sequence[ManifestFile], wanted: Canonical) -> Rewriting:
    """The manifests as ``wanted`` says. What says so already is left as it is, to the byte.

    Raises RefusedError with every reason: ``manifest-missing``, ``manifest-not-understood``,
    ``manifest-without-cluster``, ``manifest-ambiguous``, ``manifest-service-not-external``.
    """
    objects, problems = objects_of(files, wanted), list[Problem]()
    in_use = [at(entry.value, "spec", "externalClusterName") for entry in objects if entry.kind == "Subscription"]
    texts: list[str] = []
    changes: list[str] = []
    for file in files:
        own = [entry for entry in objects if entry.file is file]
        made = [(entry.number, change) for entry in own for change in _changes(entry, wanted, in_use=in_use)]
        try:
            texts.append(edited(file.text, [(number, change.edit) for number, change in made]) if made else file.text)
        except YamlTextError as error:
            problems.append(not_understood(file, error))
        changes += [f"{file.path}: {change.words}" for _, change in made]
    if problems:
        raise RefusedError(problems)
    after = [ManifestFile(path=file.path, text=text) for file, text in zip(files, texts, strict=True)]
    return Rewriting(
        files=tuple(new for new, old in zip(after, files, strict=True) if new.text != old.text),
        changes=tuple(changes),
        documents=tuple(entry.value for file in after for entry in _objects(file, wanted)),
        mentions=tuple(mention for file in after for mention in _mentions(file, wanted)),
    )


def objects_of(files: Sequence[ManifestFile], wanted: Canonical) -> tuple[ManifestObject, ...]:
    """The objects in ``files`` that have to do with the Cluster, which is one of them. Raises RefusedError as
    :func:`rewrite` does.
    """
    if not files:
        missing = "no manifest was found in Git"
        raise RefusedError(
            [Problem(code="manifest-missing", cause=missing, remedy="correct the folder of the manifests")]
        )
    objects: list[ManifestObject] = []
    problems: list[Problem] = []
    for file in files:
        try:
            objects += _objects(file, wanted)
        except YamlTextError as error:
            problems.append(not_understood(file, error))
    problems += _problems(objects, wanted)
    if not problems and not any(entry.kind == "Cluster" for entry in objects):
        problems.append(_without_cluster(files, wanted))
    if problems:
        raise RefusedError(problems)
    return tuple(objects)


def _objects(file: ManifestFile, wanted: Canonical) -> Iterator[ManifestObject]:
    """The objects of the Cluster in ``file``. Raises YamlTextError when it may hold some that cannot be understood."""
    try:
        documents = read_documents(file.text)
    except YamlTextError:
        if _may_hold_the_cluster(file.text, wanted):
            raise
        return
    for number, document in enumerate(documents):
        value = document.value
        if document.fault and _may_hold_the_cluster(document.text, wanted):
            raise YamlTextError(document.fault)
        if kind := _kind(value, wanted):
            yield ManifestObject(file=file, number=number, value=value, kind=kind)
        elif any(_kind(item, wanted) for item in _items(value)):
            raise YamlTextError(f"the objects stand in a {value['kind']}: write them as documents of their own")


def _items(value: Any) -> Sequence[Any]:
    items = at(value, "items") if str(at(value, "kind")).endswith("List") else None
    return items if isinstance(items, list) else ()


def _kind(value: Any, wanted: Canonical) -> str:
    """The kind of an object that has to do with the Cluster, or nothing."""
    if (at(value, "metadata", "namespace") or wanted.namespace) != wanted.namespace:
        return ""
    kind, version = str(at(value, "kind")), str(at(value, "apiVersion"))
    names = {wanted.name, *wanted.former}
    if version.startswith(_CNPG):
        named = name_of(value) if kind == "Cluster" else cluster_of(value) if kind != BACKUP else ""
        return kind if named in names else ""
    return kind if (version, kind, name_of(value)) == ("v1", "Service", wanted.service) else ""


def _may_hold_the_cluster(text: str, wanted: Canonical) -> bool:
    names = "|".join(map(re.escape, {wanted.name, *wanted.former}))
    return bool(_CLUSTER_KIND.search(text) and re.search(rf"(?<![\w-])(?:{names})(?![\w-])", text))


def _changes(entry: ManifestObject, wanted: Canonical, *, in_use: Collection[Any]) -> Sequence[ManifestChange]:
    if entry.kind == "Cluster":
        return cluster_changes(entry.value, wanted, in_use=in_use)
    return (service_changes if entry.kind == "Service" else dependent_changes)(entry.value, wanted)


def _problems(objects: Sequence[ManifestObject], wanted: Canonical) -> Iterator[Problem]:
    """Why ``objects`` cannot be rewritten."""
    clusters = [entry for entry in objects if entry.kind == "Cluster"]
    if len(clusters) > 1:
        yield _ambiguous(f"more than one Cluster could be meant: {', '.join(map(_place, clusters))}")
    taken: dict[str, ManifestObject] = {}
    for entry in objects:
        spec = entry.value.get("spec")
        if entry.kind == "ScheduledBackup":
            name = name_afterwards(entry.value, wanted)
            if (other := taken.setdefault(name, entry)) is not entry:
                yield _ambiguous(f"{_place(other)} and {_place(entry)} would both be called {name}")
        elif entry.kind == "Service" and at(spec, "type") != "ExternalName":
            yield Problem(
                code="manifest-service-not-external",
                cause=f"{_place(entry)} is not of type ExternalName",
                remedy="make it one, as it is in the cluster",
            )
        elif entry.kind == "Cluster" and archive_of(spec) is None:
            why = f"has neither spec.backup.barmanObjectStore nor the plugin {BARMAN_PLUGIN} as its WAL archiver"
            yield not_understood(entry.file, f"{_place(entry)} {why}")


def _without_cluster(files: Sequence[ManifestFile], wanted: Canonical) -> Problem:
    names = " or ".join(dict.fromkeys([wanted.name, *wanted.former]))
    templates = [file.path for file in files if _CLUSTER_KIND.search(file.text) and not _readable(file)]
    return Problem(
        code="manifest-without-cluster",
        cause=f"{len(files)} files of manifests, but none has the Cluster {names} of the namespace {wanted.namespace}"
        + (f"; {', '.join(templates)} cannot be read as plain YAML" if templates else ""),
        remedy="name the folder of the plain manifests; change what a template makes by hand",
    )


def _ambiguous(cause: str) -> Problem:
    return Problem(code="manifest-ambiguous", cause=cause, remedy="leave one of them in Git, and repeat the command")


def _readable(file: ManifestFile) -> bool:
    try:
        return not any(document.fault for document in read_documents(file.text))
    except YamlTextError:
        return False


def _place(entry: ManifestObject) -> str:
    return f"{entry.kind} {name_of(entry.value)} in {entry.file.path}"


def not_understood(file: ManifestFile, why: object) -> Problem:
    """The problem of a file that cannot be changed safely."""
    return Problem(
        code="manifest-not-understood",
        cause=f"{file.path} cannot be changed safely: {why}",
        remedy="write the object as one plain YAML document, or change it by hand",
    )


def _mentions(file: ManifestFile, wanted: Canonical) -> Iterator[str]:
    names = "|".join(re.escape(name) for name in sorted(set(wanted.former) - {wanted.name}, key=len, reverse=True))
    if not names:
        return
    word = re.compile(rf"(?<![\w-])(?:{names}){_GENERATED}(?![\w-])")
    for number, line in enumerate(file.text.split("\n"), 1):
        if any(found.group() != wanted.name for found in word.finditer(line)):
            yield f"{file.path}:{number}: {line.strip().encode(errors='replace').decode()}"
