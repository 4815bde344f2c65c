"""What Argo CD would put back: the Applications that own the objects an operation touches, and what plans say of them.
Pure.

With ``selfHeal`` a scaled Deployment or a moved Service is put back within a second. Pausing the Application alone may
not hold: whatever owns it (a parent Application, an ApplicationSet) puts its settings back as well. So the owners are
paused first, from the outermost inwards, and released in the opposite order.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from dr.kube.objects import ObjectKey, Workload

APPLICATION, APPLICATION_SET = "Application", "ApplicationSet"
TRACKING = "argocd.argoproj.io/tracking-id"
"""The annotation by which Argo CD marks what it manages: ``<application>:<group>/<kind>:<namespace>/<name>``."""
REFRESH = "argocd.argoproj.io/refresh"
"""The annotation that asks for a comparison with Git; Argo CD takes it away when it has compared."""
_INSTANCE_LABELS = ("argocd.argoproj.io/instance", "app.kubernetes.io/instance")
_UNDER_WAY = {"Running", "Terminating"}
_CREATE_ONLY = "create-only"


@dataclass(frozen=True, kw_only=True)
class GitSource:
    """Where an Application takes manifests from. ``revision`` is the commit that it has compared with last."""

    repository: str
    path: str
    revision: str


@dataclass(frozen=True, kw_only=True)
class Manager:
    """An Application or ApplicationSet. ``policy`` is its ``spec.syncPolicy``; ``owner`` the key of what owns it.

    ``at_rest`` says that all it manages is as in Git, and healthy.
    """

    kind: str
    namespace: str
    name: str
    policy: Mapping[str, Any]
    owner: tuple[str, str, str] | None
    manages: frozenset[ObjectKey]
    syncing: bool
    refreshing: bool
    out_of_sync: tuple[str, ...]
    sources: tuple[GitSource, ...] = ()
    at_rest: bool = True
    project: str = ""

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "Manager":
        """Read the object as the Kubernetes API returns it."""
        metadata, status = raw["metadata"], raw.get("status") or {}
        resources = status.get("resources") or ()
        return cls(
            kind=raw["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            policy=(raw.get("spec") or {}).get("syncPolicy") or {},
            owner=_owner(metadata),
            manages=frozenset(_key(resource) for resource in resources),
            syncing="operation" in raw or (status.get("operationState") or {}).get("phase") in _UNDER_WAY,
            refreshing=REFRESH in (metadata.get("annotations") or {}),
            out_of_sync=tuple(
                sorted(str(_key(resource)) for resource in resources if resource.get("status") == "OutOfSync")
            ),
            sources=tuple(_sources(raw)),
            at_rest=raw["kind"] == APPLICATION_SET or _is_at_rest(status),
            project=(raw.get("spec") or {}).get("project") or "",
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """What names it."""
        return (self.kind, self.namespace, self.name)

    def __str__(self) -> str:
        """For people, and in the record."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def paused(self) -> bool:
        """Whether it would put nothing back automatically."""
        if self.kind == APPLICATION_SET:
            return self.policy.get("applicationsSync") == _CREATE_ONLY
        automated = self.policy.get("automated")
        return automated is None or automated.get("enabled") is False

    @property
    def setting(self) -> Any:
        """The part of its policy that a pause changes, to be remembered; None where it is not set."""
        return self.policy.get("applicationsSync" if self.kind == APPLICATION_SET else "automated")

    def pause(self, *, can_disable: bool) -> Mapping[str, Any]:
        """The merge patch that pauses it. ``can_disable`` says that this Argo CD knows ``automated.enabled`` (3.1).

        An Application is asked for a new comparison too: the one that is under way does not know of the pause, and may
        still put things back. When the new one is done, it is over.
        """
        if self.kind == APPLICATION_SET:
            return {"spec": {"syncPolicy": {"applicationsSync": _CREATE_ONLY}}}
        return {
            "metadata": {"annotations": {REFRESH: "normal"}},
            "spec": {"syncPolicy": {"automated": {"enabled": False} if can_disable else None}},
        }

    def release(self, setting: Any) -> Mapping[str, Any]:
        """The merge patch that puts back ``setting``, as :attr:`setting` gave it before the pause."""
        if self.kind == APPLICATION_SET:
            return {"spec": {"syncPolicy": {"applicationsSync": setting}}}
        if isinstance(setting, Mapping) and "enabled" not in setting:
            setting = {**setting, "enabled": None}  # a merge patch keeps what it does not name
        return {"spec": {"syncPolicy": {"automated": setting}}}


def managers_of(touched: Iterable[ObjectKey], managers: Iterable[Manager]) -> tuple[Manager, ...]:
    """Those that manage one of ``touched``, with all their owners, outermost first and each once."""
    by_key = {manager.key: manager for manager in managers}
    wanted = set(touched)
    found: dict[tuple[str, str, str], Manager] = {}
    for manager in sorted(by_key.values(), key=str):
        if manager.manages & wanted:
            for owner in reversed(list(_upwards(manager, by_key))):
                found.setdefault(owner.key, owner)
    return tuple(found.values())


def _upwards(manager: Manager, by_key: Mapping[tuple[str, str, str], Manager]) -> Iterator[Manager]:
    """The manager, its owner, the owner's owner, and so on."""
    seen: set[tuple[str, str, str]] = set()
    current: Manager | None = manager
    while current is not None and current.key not in seen:
        seen.add(current.key)
        yield current
        current = by_key.get(current.owner) if current.owner else None


def _sources(raw: Mapping[str, Any]) -> Iterator[GitSource]:
    """The sources of an Application with the revisions that its status has for them, in the same order."""
    spec, sync = raw.get("spec") or {}, (raw.get("status") or {}).get("sync") or {}
    sources = spec.get("sources") or [spec.get("source") or {}]
    revisions = sync.get("revisions") or [sync.get("revision")]
    for source, revision in zip_longest(sources, revisions[: len(sources)]):
        if source.get("path") is not None:
            yield GitSource(repository=source["repoURL"], path=source["path"], revision=revision or "")


def _is_at_rest(status: Mapping[str, Any]) -> bool:
    said = [(status.get(key) or {}).get("status") for key in ("sync", "health")]
    return said == ["Synced", "Healthy"]


def _owner(metadata: Mapping[str, Any]) -> tuple[str, str, str] | None:
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("kind") == APPLICATION_SET:
            return (APPLICATION_SET, metadata["namespace"], reference["name"])
    tracking = (metadata.get("annotations") or {}).get(TRACKING, "")
    labels = metadata.get("labels") or {}
    marked = tracking.split(":")[0] or next((labels[label] for label in _INSTANCE_LABELS if label in labels), "")
    if not marked:
        return None
    # Applications outside Argo CD's own namespace are marked as <namespace>_<name>.
    namespace, cut, name = marked.partition("_")
    return (APPLICATION, namespace, name) if cut else (APPLICATION, metadata["namespace"], marked)


def _key(resource: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(resource.get("group") or "", resource["kind"], resource.get("namespace") or "", resource["name"])


def argocd_warnings(workloads: Collection[Workload | None], managers: Collection[Manager]) -> Iterator[str]:
    """A word where objects bear Argo CD's mark and no Application here has them: it runs in another cluster."""
    marked = sorted(workload.name for workload in workloads if workload and workload.argo_managed)
    if marked and not managers:
        yield (
            f"An Argo CD that is not in this cluster manages {', '.join(marked)} and may put them back at once: "
            "pause its automated sync there first."
        )
