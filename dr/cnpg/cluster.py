"""A CloudNativePG ``Cluster`` as it was seen at one moment, and what keeps its archive from being used.

Code decides on this snapshot, never on the raw object, so that the knowledge of where CloudNativePG keeps a fact (and
what it defaults to when the fact is missing) stands in one place.

Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dr.core.errors import Problem

HEALTHY_PHASE = "Cluster in healthy state"
"""``PhaseHealthy`` in CloudNativePG's ``cluster_types.go``."""

UNRECOVERABLE_PHASE = "Cluster is unrecoverable and needs manual intervention"
"""``PhaseUnrecoverable``: reached only after the recovery Job gave up, some 11 minutes after its first failure."""

PLUGIN_PHASES = (
    "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
    "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
)
"""``PhaseUnknownPlugin`` and ``PhaseFailurePlugin``: the operator does not reach a plugin, and tries again."""

BARMAN_PLUGIN = "barman-cloud.cloudnative-pg.io"
"""The name by which a Cluster calls for the Barman Cloud plugin (``plugin-barman-cloud``)."""

SCHEDULED_BACKUP = "ScheduledBackup"
TARGET_ANNOTATION = "postgres-dr/recovery-target"
"""On a Cluster that this tool made: the target, as sent. Tells whether a later run means the same recovery."""


@dataclass(frozen=True, kw_only=True)
class Archiving:
    """The ``ContinuousArchiving`` condition. ``working`` is None while CloudNativePG has not said."""

    working: bool | None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """Where a Cluster archives to.

    ``definition`` is the ``barmanObjectStore`` mapping, or the ``configuration`` of the plugin's ObjectStore, which is
    of the same type; ``server_name`` the folder below ``url`` that is this Cluster's.
    """

    url: str
    server_name: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class PluginArchive:
    """How a Cluster archives by the Barman Cloud plugin.

    ``entry`` is that of ``spec.plugins``; ``object_store`` the name of an ObjectStore in the Cluster's namespace;
    ``server_name`` its folder there, by default the Cluster's name (the plugin's ``operator/config``).
    """

    entry: Mapping[str, Any]
    object_store: str
    server_name: str


@dataclass(frozen=True, kw_only=True)
class ClusterSnapshot:
    """What is known of a Cluster. Times are aware UTC; ``spec`` is the live specification, with the webhook's
    defaults; ``major`` is PostgreSQL's major version, None while CloudNativePG has not said. ``store`` is None where it
    archives to none, or by the plugin to one that is not there or was not read; ``other_archiver`` names a plugin that
    archives and is not understood here; ``system_id`` is the database's system identifier, empty where CloudNativePG
    has not said it (``status.systemID``); ``labels`` are the Cluster's own.
    """

    name: str
    namespace: str
    uid: str
    created: datetime
    spec: Mapping[str, Any]
    annotations: Mapping[str, str]
    phase: str
    phase_reason: str
    ready: bool
    primary: str | None
    image: str | None
    archiving: Archiving
    store: ObjectStore | None
    plugin: PluginArchive | None
    other_archiver: str
    major: int | None = None
    system_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "ClusterSnapshot":
        """Read the object as the Kubernetes API returns it. The plugin's ObjectStore is another object:
        :meth:`with_object_store`.
        """
        metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
        conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            spec=spec,
            annotations=metadata.get("annotations") or {},
            labels=metadata.get("labels") or {},
            phase=status.get("phase") or "",
            phase_reason=status.get("phaseReason") or "",
            ready=conditions.get("Ready", {}).get("status") == "True",
            primary=status.get("currentPrimary") or None,
            image=spec.get("imageName") or status.get("image") or None,
            archiving=_archiving(conditions.get("ContinuousArchiving")),
            store=_store(spec, metadata["name"]),
            major=(status.get("pgDataImageInfo") or {}).get("majorVersion"),
            system_id=str(status.get("systemID") or ""),
            plugin=_plugin(spec, metadata["name"]),
            other_archiver=next((one["name"] for one in _archivers(spec) if one["name"] != BARMAN_PLUGIN), ""),
        )

    def with_object_store(self, configuration: Mapping[str, Any] | None) -> "ClusterSnapshot":
        """With the ``spec.configuration`` of the ObjectStore that ``plugin`` names; None when it is not there."""
        if self.plugin is None or configuration is None:
            return self
        return replace(self, store=_object_store(configuration, self.plugin.server_name))

    @property
    def server_name(self) -> str | None:
        """The folder that it archives to, below the object store's path; None when it archives to none."""
        if self.plugin is not None:
            return self.plugin.server_name
        return self.store.server_name if self.store else None

    @property
    def idle_plugin(self) -> str:
        """Why the Barman Cloud plugin, which is listed, archives nothing; empty where it archives, is not listed, or
        another plugin archives (CloudNativePG's ``PluginConfiguration``: ``enabled`` and ``isWALArchiver``).
        """
        entry = next((one for one in self.spec.get("plugins") or () if one["name"] == BARMAN_PLUGIN), None)
        if entry is None or self.plugin is not None or self.other_archiver:
            return ""
        return "enabled is false" if entry.get("enabled") is False else "isWALArchiver is not set"

    @property
    def backup_method(self) -> Mapping[str, Any]:
        """The part of a Backup's ``spec`` that says how to take one into this Cluster's archive."""
        if self.plugin is None:
            return {"method": "barmanObjectStore"}
        return {"method": "plugin", "pluginConfiguration": {"name": self.plugin.entry["name"]}}

    @property
    def healthy(self) -> bool:
        """Whether CloudNativePG calls it healthy: all instances up and ready."""
        return self.ready and self.phase == HEALTHY_PHASE

    @property
    def _bootstrap(self) -> Mapping[str, Any]:
        bootstrap = self.spec.get("bootstrap") or {}
        return bootstrap.get("initdb") or bootstrap.get("recovery") or bootstrap.get("pg_basebackup") or {}

    @property
    def database(self) -> str:
        """The application's database; ``app`` is what CloudNativePG's webhook defaults to."""
        return self._bootstrap.get("database") or "app"

    @property
    def owner(self) -> str:
        """The role that owns the application's database; by default it is named as the database."""
        return self._bootstrap.get("owner") or self.database

    @property
    def app_secret(self) -> str:
        """The Secret with the owner's password: a given one, or the one CloudNativePG generated."""
        return (self._bootstrap.get("secret") or {}).get("name") or f"{self.name}-app"

    @property
    def volumes(self) -> tuple[Mapping[str, Any], ...]:
        """The ``storage`` and ``walStorage`` sections, as far as they are there: the volumes an instance has."""
        return tuple(volume for key in ("storage", "walStorage") if (volume := self.spec.get(key)))

    @property
    def storage_classes(self) -> tuple[str | None, ...]:
        """The storage class of each volume an instance has; None stands for the cluster's default class."""
        return tuple(volume.get("storageClass") for volume in self.volumes)


def _archiving(condition: Mapping[str, Any] | None) -> Archiving:
    if condition is None:
        return Archiving(working=None)
    return Archiving(working=condition["status"] == "True", message=condition.get("message") or "")


def _store(spec: Mapping[str, Any], name: str) -> ObjectStore | None:
    definition = (spec.get("backup") or {}).get("barmanObjectStore")
    return _object_store(definition, definition.get("serverName") or name) if definition else None


def _object_store(definition: Mapping[str, Any], server_name: str) -> ObjectStore:
    return ObjectStore(url=definition["destinationPath"].rstrip("/"), server_name=server_name, definition=definition)


def _archivers(spec: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for plugin in spec.get("plugins") or ():
        if plugin.get("isWALArchiver") and plugin.get("enabled") is not False:
            yield plugin


def _plugin(spec: Mapping[str, Any], name: str) -> PluginArchive | None:
    for entry in _archivers(spec):
        parameters = entry.get("parameters") or {}
        if entry["name"] == BARMAN_PLUGIN:
            return PluginArchive(
                entry=entry,
                object_store=parameters.get("barmanObjectName") or "",
                server_name=parameters.get("serverName") or name,
            )
    return None


def read_write_host(cluster: ClusterSnapshot) -> str:
    """The DNS name of a Cluster's read-write Service (CloudNativePG docs, "Service management")."""
    return f"{cluster.name}-rw.{cluster.namespace}.svc.cluster.local"


def cluster_behind(external_name: str, namespace: str) -> str:
    """The name of the Cluster whose read-write Service ``external_name`` is, empty for any other host."""
    name, cut, rest = external_name.rstrip(".").partition("-rw.")
    return name if cut and rest.split(".")[0] == namespace else ""


def _no_object_store(source: ClusterSnapshot) -> Problem:
    by_hand = "recover by hand as CloudNativePG's documentation on recovery says"
    if source.idle_plugin:
        return Problem(
            code="no-object-store",
            cause=f"the Cluster {source.name} lists the plugin {BARMAN_PLUGIN}, which does not archive there "
            f"({source.idle_plugin}): WAL is archived nowhere",
            remedy=f"set isWALArchiver: true (and not enabled: false) in its entry in spec.plugins; or {by_hand}",
        )
    what = f"archives by the plugin {source.other_archiver}" if source.other_archiver else "has no backup section"
    return Problem(
        code="no-object-store",
        cause=f"the Cluster {source.name} {what}; recovery is from an in-tree barmanObjectStore, or by the plugin "
        f"{BARMAN_PLUGIN}",
        remedy=by_hand,
    )


def problems_of_archive(source: ClusterSnapshot, *, plugin_fault: str = "") -> Iterator[Problem]:
    """Why what ``source`` archives cannot be recovered; without a problem it has a ``store``.

    CloudNativePG would wait for a missing ObjectStore or plugin without a word. ``plugin_fault`` is why the operator
    does not reach the plugin, empty when nothing is known against it.
    """
    if source.plugin is None and source.store is None:
        yield _no_object_store(source)
    if source.plugin is None:
        return
    if plugin_fault:
        yield Problem(
            code="plugin-unavailable",
            cause=f"{source.name} archives by the plugin {BARMAN_PLUGIN}, and {plugin_fault}",
            remedy="install it, or bring its Deployment up, next to CloudNativePG's operator",
        )
    if source.store is None:
        name = source.plugin.object_store or "(barmanObjectName is not given)"
        yield Problem(
            code="object-store-missing",
            cause=f"there is no ObjectStore {source.namespace}/{name}, to which {source.name} archives",
            remedy="create it as it was (Git?): the recovered cluster is restored from it, and archives to it",
        )
