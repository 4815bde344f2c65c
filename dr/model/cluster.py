"""A CloudNativePG ``Cluster`` as it was seen at one moment.

Code decides on this snapshot, never on the raw object, so that the knowledge of where CloudNativePG keeps a fact (and
what it defaults to when the fact is missing) stands in one place.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

HEALTHY_PHASE = "Cluster in healthy state"
"""``PhaseHealthy`` in CloudNativePG's ``cluster_types.go``."""

UNRECOVERABLE_PHASE = "Cluster is unrecoverable and needs manual intervention"
"""``PhaseUnrecoverable``: reached only after the recovery Job gave up, some 11 minutes after its first failure."""

TARGET_ANNOTATION = "postgres-dr/recovery-target"
"""On a Cluster that this tool made: the target, as sent. Tells whether a later run means the same recovery."""


@dataclass(frozen=True, kw_only=True)
class Archiving:
    """The ``ContinuousArchiving`` condition. ``working`` is None while CloudNativePG has not said."""

    working: bool | None
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class ObjectStore:
    """Where a Cluster archives to, by CloudNativePG's in-tree Barman support.

    ``definition`` is the ``barmanObjectStore`` mapping; ``server_name`` the folder below ``url`` that is this
    Cluster's.
    """

    url: str
    server_name: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ClusterSnapshot:
    """What is known of a Cluster. Times are aware UTC; ``spec`` is the live specification, with the webhook's
    defaults; ``major`` is PostgreSQL's major version, None while CloudNativePG has not said.
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
    uses_plugin: bool
    major: int | None = None

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "ClusterSnapshot":
        """Read the object as the Kubernetes API returns it."""
        metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
        conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            spec=spec,
            annotations=metadata.get("annotations") or {},
            phase=status.get("phase") or "",
            phase_reason=status.get("phaseReason") or "",
            ready=conditions.get("Ready", {}).get("status") == "True",
            primary=status.get("currentPrimary") or None,
            image=spec.get("imageName") or status.get("image") or None,
            archiving=_archiving(conditions.get("ContinuousArchiving")),
            store=_store(spec, metadata["name"]),
            major=(status.get("pgDataImageInfo") or {}).get("majorVersion"),
            uses_plugin=any(plugin.get("isWALArchiver") for plugin in spec.get("plugins") or ()),
        )

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
    if not definition:
        return None
    return ObjectStore(
        url=definition["destinationPath"].rstrip("/"),
        server_name=definition.get("serverName") or name,
        definition=definition,
    )
