"""Looking at what a rebuild decides on: what survives of the database, what is there of the platform. Changes nothing.

Everything may be down; what cannot be looked at is shown, and stops a rebuild only where going on would be a guess.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from dr.archive.contents import Archive
from dr.archive.reader import OpenArchive, open_archives
from dr.archive.usable_archives import UsableArchive, loss, usable_archives
from dr.archive.wal_reader import looked_into
from dr.cnpg.clusters import list_clusters
from dr.config.environment import Environment
from dr.core.commands import CommandLines
from dr.core.errors import AccessError, Problem, RefusedError
from dr.guard.rules import Seen, violations
from dr.infra.google import GoogleApi
from dr.infra.region import BucketLocation, region_problems, region_warnings
from dr.kube.api import KubernetesApi
from dr.rebuild.layers import Layer, PlatformStacks, barred, summary
from dr.rebuild.plan import RebuildSituation
from dr.rebuild.store import RebuildRecords
from dr.stacks.resources import Api

_SECONDS = (3.0, 8.0)
_NO_BACKUPS = {"archive-empty", "bucket-missing"}


@dataclass(frozen=True, kw_only=True)
class RegionMove:
    """From the region that is lost to another one; ``state`` is the URL of Pulumi's state."""

    lost: str
    wanted: str
    state: str


def observe(
    environment: Environment, layers: PlatformStacks, records: RebuildRecords, move: RegionMove | None = None
) -> RebuildSituation:
    """The situation now. ``move`` is None for a rebuild where it was. Raises AccessError, EngineError where it cannot
    be known what survives.
    """
    bucket = _bucket(environment) if move else None
    with ThreadPoolExecutor(max_workers=5) as pool:
        cluster = pool.submit(_cluster, environment, elsewhere=move is not None)
        archives = pool.submit(_archives, environment)
        durable, platform = pool.submit(_look, layers.durable), pool.submit(_look, layers.platform)
        record = pool.submit(records.read)
        state, answers = cluster.result()
        found, nothing = archives.result()
        known = record.result()
        looked = [durable.result(), platform.result()]
    return RebuildSituation(
        cluster=state,
        cluster_answers=answers,
        usable_archives=usable_archives(found),
        loss=nothing or loss(found, environment.backup.url),
        durable=looked[0].said,
        platform=looked[1].said,
        argocd=_argocd(layers, answers=answers),
        problems=(
            *(region_problems(bucket, lost=move.lost, wanted=move.wanted) if bucket and move else ()),
            *looked[0].problems,
            *looked[1].problems,
        ),
        warnings=(
            *_passed_over(found, environment.commands),
            *(region_warnings(bucket, lost=move.lost, wanted=move.wanted, state=move.state) if bucket and move else ()),
        ),
        history=known.operations if known else (),
    )


def _bucket(environment: Environment) -> BucketLocation:
    """Where the bucket is, as Google tells it. Raises AccessError."""
    raw = GoogleApi().find(Api.STORAGE, f"b/{environment.backup.bucket}")
    return BucketLocation.from_object(raw or {"name": environment.backup.bucket})


@dataclass(frozen=True, kw_only=True)
class _Looked:
    said: str
    problems: tuple[Problem, ...] = ()


def _look(layer: Layer) -> _Looked:
    try:
        changes = layer.look()
    except RefusedError as error:
        return _Looked(said="cannot be adopted as it is", problems=tuple(error.problems))
    found = violations(changes, Seen())
    problems = tuple(barred(one) for one in found)
    return _Looked(said=summary(changes) if changes.any else "is as it should be", problems=problems)


def _cluster(environment: Environment, *, elsewhere: bool) -> tuple[str, bool]:
    """How the environment's cluster is, in words, and whether it answers."""
    if elsewhere:
        return "not looked at: another region is asked for", False
    try:
        api = KubernetesApi(environment.kubernetes, environment.commands, seconds=_SECONDS)
        clusters = list_clusters(api, environment.namespace)
    except AccessError as error:
        if error.code == "api-group-missing":
            return "answers, without CloudNativePG", True
        return error.cause, False
    states = ", ".join(f"{cluster.name}: {cluster.phase or 'just made'}" for cluster in clusters)
    return f"answers; {states or f'no Cluster in {environment.namespace}'}", True


def _archives(environment: Environment) -> tuple[tuple[Archive, ...], str]:
    """The archives, and what to say where there is nothing at all."""
    try:
        opened = open_archives(environment.backup)
        source = next(iter(usable_archives(tuple(one.archive for one in opened))), None)
        found = (one if source is None or one.archive is not source.archive else _looked(one, source) for one in opened)
        return tuple(one.archive for one in found), ""
    except AccessError as error:
        if error.code not in _NO_BACKUPS:
            raise
        return (), f"{error.cause}: the database cannot be brought back from there"


def _looked(opened: OpenArchive, source: UsableArchive) -> OpenArchive:
    return replace(opened, archive=looked_into(opened, source.window.backups[-1], None))


def _passed_over(found: tuple[Archive, ...], commands: CommandLines) -> Iterator[str]:
    """The archives that have base backups and are not survivors all the same."""
    usable = {one.server_name for one in usable_archives(found)}
    for archive in found:
        if archive.backups and archive.server_name not in usable:
            window = commands.dr("window")
            yield f"Nothing can be recovered from {archive.server_name}, which has base backups: {window}."


def _argocd(layers: PlatformStacks, *, answers: bool) -> str:
    namespace, name = layers.root
    if layers.argocd is None:
        return f"no stack is configured: the Application {namespace}/{name} must be there"
    return f"the Application {namespace}/{name}, {'where it is missing' if answers else 'recreated'}"


_CRD = "clusters.postgresql.cnpg.io"
_OPERATOR = "app.kubernetes.io/name=cloudnative-pg"
"""On the operator's Deployment, whether it comes of the release manifest or of the Helm chart."""
_ARGO = ("argoproj.io", "v1alpha1", "applications")


@dataclass(frozen=True, kw_only=True)
class ApplicationSeen:
    """One Application. ``message`` is what it says went wrong, if anything."""

    name: str
    sync: str
    health: str
    message: str

    @classmethod
    def from_object(cls, raw: Mapping[str, Any]) -> "ApplicationSeen":
        """Read the object as the Kubernetes API returns it."""
        status = raw.get("status") or {}
        operation = status.get("operationState") or {}
        said = [str(one.get("message")) for one in status.get("conditions") or () if "Error" in str(one.get("type"))]
        if operation.get("phase") in {"Failed", "Error"}:
            said.append(str(operation.get("message")))
        return cls(
            name=raw["metadata"]["name"],
            sync=(status.get("sync") or {}).get("status") or "Unknown",
            health=(status.get("health") or {}).get("status") or "Unknown",
            message=" ".join("; ".join(said).split())[:300],
        )

    @property
    def settled(self) -> bool:
        """Whether all is as Git says, and well."""
        return (self.sync, self.health) == ("Synced", "Healthy")


def list_applications(api: KubernetesApi) -> tuple[ApplicationSeen, ...]:
    """Argo CD's Applications; none where it is not installed (yet). Raises AccessError."""
    try:
        answer = api.ask("list the Applications", api.custom.list_cluster_custom_object, *_ARGO)
    except AccessError as error:
        if error.code == "api-group-missing":
            return ()
        raise
    return tuple(sorted(map(ApplicationSeen.from_object, answer["items"]), key=lambda one: one.name))


def root_application(api: KubernetesApi, namespace: str, name: str) -> bool:
    """Whether the Application that declares the others is there. Raises AccessError."""
    group, version, plural = _ARGO
    what = f"read the Application {namespace}/{name}"
    try:
        found = api.find(what, api.custom.get_namespaced_custom_object, group, version, namespace, plural, name)
    except AccessError as error:
        if error.code == "api-group-missing":
            return False
        raise
    return found is not None


def missing_of_cnpg(api: KubernetesApi) -> str:
    """What is still missing of CloudNativePG, empty when it can be used. Raises AccessError."""
    crd = api.find(
        f"read the CRD {_CRD}",
        api.custom.get_cluster_custom_object,  # not the typed API: it would build objects of the whole schema
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        _CRD,
    )
    if crd is None or not _holds(crd, "Established"):
        return f"the CRD {_CRD}"
    answer = api.ask_plain(
        "list CloudNativePG's Deployments",
        api.apps.list_deployment_for_all_namespaces,
        label_selector=_OPERATOR,
    )
    if not any(_holds(deployment, "Available") for deployment in answer["items"]):
        return "CloudNativePG's operator"
    return ""


def _holds(raw: Mapping[str, Any], condition: str) -> bool:
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in conditions)
