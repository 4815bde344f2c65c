"""From the in-tree object store to the Barman Cloud plugin, as a change of Git's manifests. Pure.

CloudNativePG 1.31 is announced to drop ``barmanObjectStore``. The plugin reads and writes the same layout, so with the
same serverName the archive continues; what must change is the manifests, all of them in one commit: the webhook takes
no Cluster with both (CloudNativePG's ``cluster_webhook.go``; the plugin's documentation, "Migrating").
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from posixpath import dirname, join
from typing import Any

import yaml

from dr.cnpg.cluster import BARMAN_PLUGIN
from dr.core.commands import CommandLines
from dr.core.errors import Problem, RefusedError
from dr.gitops.manifests import Canonical, ManifestFile, ManifestObject, at, name_of, not_understood, objects_of
from dr.gitops.yaml_splice import Edit, Value, YamlTextError, block_text, edited, read_documents

FILE = "objectstore.yaml"
_BACKUP = ("spec", "backup")
_IN_TREE = "barmanObjectStore"
_MOVED = {_IN_TREE, "retentionPolicy"}
_SMART_SHUTDOWN_SECONDS = 180
"""CloudNativePG's default of ``spec.smartShutdownTimeout``."""
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml")


@dataclass(frozen=True, kw_only=True)
class PluginMigration:
    """What is to be written.

    ``files`` are the changed and the new ones, with their new text; ``changes`` tells people what was changed, and
    ``checks`` what is for them to see to, before and after.
    """

    cluster: str
    files: tuple[ManifestFile, ...]
    changes: tuple[str, ...]
    checks: tuple[str, ...]

    def message(self, environment: str) -> str:
        """The commit's message."""
        changes = "\n".join(f"- {change}" for change in self.changes)
        return (
            f"{self.cluster} of {environment} archives by the Barman Cloud plugin\n\n"
            "CloudNativePG 1.31 is announced to drop its in-tree object store. The serverName stays, so the archive\n"
            f"stays where it is.\n\n{changes}\n"
        )


@dataclass(frozen=True, kw_only=True)
class MigrationReport:
    """What was written where. ``branch`` and ``commit`` are empty after a dry run; ``pushed`` is the remote's URL."""

    environment: str
    root: str
    revision: str
    migration: PluginMigration
    branch: str = ""
    commit: str = ""
    pushed: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "environment": self.environment,
            "cluster": self.migration.cluster,
            "checkout": self.root,
            "from": self.revision,
            "dryRun": not self.commit,
            "branch": self.branch,
            "commit": self.commit,
            "pushed": self.pushed,
            "files": [file.path for file in self.migration.files],
            "changes": list(self.migration.changes),
            "checks": list(self.migration.checks),
        }


def migrate(files: Sequence[ManifestFile], *, cluster: str, namespace: str, commands: CommandLines) -> PluginMigration:
    """The manifests of ``cluster`` with the plugin in place of its in-tree object store.

    Raises RefusedError with every reason: ``plugin-used-already``, and as
    :func:`dr.gitops.manifests.rewrite` does.
    """
    wanted = Canonical(name=cluster, namespace=namespace, server_name="", host="", service="")
    objects = [entry for entry in objects_of(files, wanted) if entry.kind in {"Cluster", "ScheduledBackup"}]
    (subject,) = [entry for entry in objects if entry.kind == "Cluster"]
    folder = dirname(subject.file.path)
    problems = list(_problems(subject, folder, files, commands))
    if problems:
        raise RefusedError(problems)
    listings = list(_kustomizations(files, folder, subject))
    texts: dict[str, str] = {join(folder, FILE): _object_store(subject)}
    changes = [f"{join(folder, FILE)}: new, the ObjectStore {cluster}: what {_IN_TREE} said, and the retention policy"]
    for file in files:
        edits = [(entry.number, *change) for entry in objects if entry.file is file for change in _changes(entry)]
        edits += [(0, edit, words) for path, edit, words in listings if path == file.path]
        if not edits:
            continue
        try:
            texts[file.path] = edited(file.text, [(number, edit) for number, edit, _ in edits])
        except YamlTextError as error:
            problems.append(not_understood(file, error))
        changes += [f"{file.path}: {words}" for _, _, words in edits if words]
    if problems:
        raise RefusedError(problems)
    return PluginMigration(
        cluster=cluster,
        files=tuple(ManifestFile(path=path, text=text) for path, text in sorted(texts.items())),
        changes=tuple(changes),
        checks=tuple(_checks(subject.value, namespace, commands)),
    )


def _problems(
    subject: ManifestObject, folder: str, files: Sequence[ManifestFile], commands: CommandLines
) -> Iterator[Problem]:
    spec, name = subject.value["spec"], name_of(subject.value)
    if not isinstance(at(spec, *_BACKUP[1:], _IN_TREE), Mapping):
        yield Problem(
            code="plugin-used-already",
            cause=f"the Cluster {name} in {subject.file.path} archives by the plugin {BARMAN_PLUGIN} already",
            remedy=f"nothing is left to migrate; is it merged? then see that it archives: {commands.dr('window')}",
        )
        return
    if spec.get("plugins"):
        yield not_understood(subject.file, f"the Cluster {name} has spec.plugins, for something else")
    if join(folder, FILE) in {file.path for file in files}:
        yield not_understood(subject.file, f"the file of the new ObjectStore, {join(folder, FILE)}, is there already")


def _changes(entry: ManifestObject) -> Iterator[tuple[Edit, str]]:
    """The edits of an object, and the words for each; without words it belongs to the one before."""
    value, kind = entry.value, entry.kind
    about = f"{kind} {name_of(value)}"
    if kind == "ScheduledBackup":
        if at(value, "spec", "method") not in {None, _IN_TREE}:
            return  # volume snapshots
        words = f"{about}: backs up by the plugin"
        yield Edit(path=("spec", "method"), value="plugin", after="schedule"), words
        after = "method" if at(value, "spec", "method") else "schedule"
        yield Edit(path=("spec", "pluginConfiguration"), value={"name": BARMAN_PLUGIN}, after=after), ""
        return
    backup = value["spec"]["backup"]
    plugin: dict[str, Value] = {
        "name": BARMAN_PLUGIN,
        "isWALArchiver": True,
        "parameters": {"barmanObjectName": name_of(value), "serverName": _server_name(value)},
    }
    words = f"{about}: archives by the plugin, to the folder {_server_name(value)} as before"
    yield Edit(path=("spec", "plugins"), value=(plugin,), after="backup"), words
    gone = [key for key in backup if key in _MOVED]
    where = ", ".join(gone)
    if set(backup) <= _MOVED:
        yield Edit(path=_BACKUP, value=None), f"{about}: without spec.backup ({where}), which the ObjectStore has now"
    else:
        for key in gone:
            yield Edit(path=(*_BACKUP, key), value=None), f"{about}: without spec.backup.{key}, now in the ObjectStore"


def _server_name(value: Mapping[str, Any]) -> str:
    return str(at(value, *_BACKUP, _IN_TREE, "serverName") or name_of(value))


def _object_store(subject: ManifestObject) -> str:
    """The new manifest: the in-tree section as it was written, comments and all."""
    value, text = subject.value, subject.file.text
    written = block_text(text, subject.number, (*_BACKUP, _IN_TREE))
    spec, namespace = value["spec"], at(value, "metadata", "namespace")
    configuration = written or _dumped(spec["backup"][_IN_TREE])
    parts = [
        f"# Where {name_of(value)} archives to, by the Barman Cloud plugin.\n",
        "apiVersion: barmancloud.cnpg.io/v1\nkind: ObjectStore\nmetadata:\n",
        f"  name: {name_of(value)}\n",
        f"  namespace: {namespace}\n" if namespace else "",
        "spec:\n",
        _dumped({"retentionPolicy": retention}, 2) if (retention := spec["backup"].get("retentionPolicy")) else "",
        "  configuration:\n",
        textwrap.indent(configuration, " " * 4),
        # In-tree, barman ran in the instance itself, with the Cluster's variables.
        "  instanceSidecarConfiguration:\n" + _dumped({"env": spec["env"]}, 4) if spec.get("env") else "",
    ]
    new = "".join(parts)
    if "serverName" in spec["backup"][_IN_TREE]:
        new = edited(new, [(0, Edit(path=("spec", "configuration", "serverName"), value=None))])
    (made,) = read_documents(new)
    wanted = {key: inner for key, inner in spec["backup"][_IN_TREE].items() if key != "serverName"}
    if made.fault or made.value["spec"]["configuration"] != wanted:
        raise RefusedError(
            [not_understood(subject.file, made.fault or "its object store does not let itself be moved")]
        )
    return new


def _dumped(value: Mapping[str, Any], column: int = 0) -> str:
    text: str = yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)
    return textwrap.indent(text, " " * column)


def _kustomizations(
    files: Sequence[ManifestFile], folder: str, subject: ManifestObject
) -> Iterator[tuple[str, Edit, str]]:
    """The listings that name the Cluster's file, and so have to name the new one."""
    for file in files:
        if file.path not in {join(folder, name) for name in _KUSTOMIZATIONS}:
            continue
        documents = read_documents(file.text)
        listed = at(documents[0].value, "resources") if len(documents) == 1 else None
        if isinstance(listed, list) and subject.file.path.rpartition("/")[2] in listed:
            yield file.path, Edit(path=("resources",), value=(*listed, FILE)), f"lists {FILE}"


def _checks(value: Mapping[str, Any], namespace: str, commands: CommandLines) -> Iterator[str]:
    name, spec = name_of(value), value["spec"]
    backup = ("cnpg", "backup", name, "--method", "plugin", "--plugin-name", BARMAN_PLUGIN)
    yield (
        "before merging: the Barman Cloud plugin runs next to CloudNativePG's operator "
        f"({commands.kubectl('get', 'service', '-A', '-l', f'cnpg.io/pluginName={BARMAN_PLUGIN}')})"
    )
    yield (
        "before merging: the whole change goes in one sync, as CloudNativePG refuses a Cluster with both; and its pods "
        "are restarted for it, the primary too: choose a quiet hour. While clients stay connected to the primary that "
        "takes up to smartShutdownTimeout and more, in which it accepts no new connections: "
        f"{spec.get('smartShutdownTimeout', _SMART_SHUTDOWN_SECONDS)} s here"
    )
    if spec.get("envFrom"):
        yield "before merging: the Cluster's envFrom cannot be moved: give what barman needs of it as env"
    elsewhere = [at(one, "name") for one in spec.get("externalClusters") or () if at(one, _IN_TREE)]
    if elsewhere:
        names = ", ".join(map(str, elsewhere))
        yield f"before CloudNativePG 1.31: the external clusters {names} are in-tree still; are they needed?"
    yield (
        f"after it: {commands.kubectl('get', 'cluster', name, namespace=namespace)} shows it healthy, "
        "ContinuousArchiving is True, and its pods have a container plugin-barman-cloud"
    )
    yield (
        f"after it: take a base backup at once ({commands.kubectl(*backup, namespace=namespace)}), and see it and new "
        f"WAL below {_server_name(value)}: {commands.dr('window')}"
    )
    yield (
        "after it: what watches firstRecoverabilityPoint or lastSuccessfulBackup of the Cluster's status must watch "
        f"the ObjectStore's: .status.serverRecoveryWindow.{_server_name(value)}"
    )
