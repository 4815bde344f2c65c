"""Looking at a platform that may be down: every part on its own and at the same time, none waited for long."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urljoin

import requests

from dr.archive.reader import list_server_names
from dr.cnpg.cluster import cluster_behind
from dr.cnpg.clusters import list_clusters
from dr.config.backup_location import BackupLocation
from dr.config.environment import Environment
from dr.config.infrastructure import Platform
from dr.core.errors import AccessError
from dr.diagnose.diagnosis import Diagnosis, diagnose
from dr.diagnose.symptoms import (
    GONE,
    KUBERNETES_PARTS,
    ClustersSeen,
    Incident,
    KubernetesSeen,
    NodeSeen,
    PodSeen,
    Silence,
    Symptoms,
)
from dr.infra.google import GoogleApi
from dr.kube import workloads
from dr.kube.api import KubernetesApi
from dr.run.record import Record
from dr.run.stores import RecordStore
from dr.stacks.resources import Named, platform_resources
from dr.traffic.name_check import ask

_SECONDS = (3.0, 8.0)
"""For a connection, and for an answer: who waits for a diagnosis has no time."""

T = TypeVar("T")


def look(environment: Environment, platform: Platform | None, *, clock: Callable[[], datetime]) -> Diagnosis:
    """Which rows of the failure table apply now. Looks only, and never fails: what cannot be seen is a symptom.

    ``platform`` is None where it is not known what Google should have of it.
    """
    with ThreadPoolExecutor(max_workers=5) as pool:
        kubernetes = pool.submit(_or_silence, lambda: _kubernetes(environment))
        bucket = pool.submit(_or_silence, lambda: _bucket(environment.backup))
        incidents = pool.submit(_or_silence, lambda: incidents_now(environment.cloud_status_url, seconds=_SECONDS[1]))
        gke = pool.submit(_gke, platform)
        health = pool.submit(_health, environment)
        seen, silence, going_on = kubernetes.result(), bucket.result(), incidents.result()
        return diagnose(
            environment,
            Symptoms(
                seen_at=clock(),
                kubernetes=seen,
                bucket=silence if isinstance(silence, Silence) else None,
                incidents=going_on,
                health=health.result(),
                region=_region(seen) or (platform.region if platform else ""),
                gke=gke.result(),
            ),
        )


def _or_silence(look_at: Callable[[], T]) -> T | Silence:
    try:
        return look_at()
    except AccessError as error:
        return Silence(code=error.code, cause=error.cause)


def _health(environment: Environment) -> str:
    return ask(environment.smoke_test_url, seconds=_SECONDS[1]) if environment.smoke_test_url else ""


def _bucket(place: BackupLocation) -> None:
    list_server_names(place)


def _gke(platform: Platform | None) -> str:
    """What Google says of the GKE cluster, empty where it does not tell."""
    if platform is None:
        return ""
    cluster = next(one for one in platform_resources(platform) if one.name == "cluster").place
    api = GoogleApi()
    try:
        if not api.is_there(cluster):
            return GONE
        found = api.find(cluster.api, cluster.path) if isinstance(cluster, Named) else None
    except AccessError:
        return ""
    return str((found or {}).get("status") or "")


def _region(seen: KubernetesSeen | Silence) -> str:
    nodes = seen.nodes if isinstance(seen, KubernetesSeen) else ()
    return next((node.region for node in nodes if node.region), "")


def _kubernetes(environment: Environment) -> KubernetesSeen:
    """What the environment's cluster says. Raises AccessError when it cannot be asked at all."""
    api = KubernetesApi(environment.kubernetes, environment.commands, seconds=_SECONDS)
    namespace, unseen = environment.namespace, dict[str, AccessError]()
    service, nodes_seen, clusters_seen, pods_seen, record_seen = KUBERNETES_PARTS

    def part(name: str, look_at: Callable[[], T], without: T) -> T:
        """One part; where this user may not look at it, the others are worth having all the same."""
        try:
            return look_at()
        except AccessError as error:
            if error.code not in {"forbidden", "api-error", "record-unreadable", "answer-odd"}:
                raise
            unseen[name] = error
            return without

    # The first question decides whether the API answers; a dead one is met once.
    external_name = part(service, lambda: workloads.external_name(api, namespace, environment.service), None)
    nodes = part(nodes_seen, lambda: list_nodes(api), tuple[NodeSeen, ...]())
    clusters = part(clusters_seen, lambda: _clusters(api, namespace), ClustersSeen(looked=False))
    pods = part(pods_seen, lambda: _pods(api, environment), tuple[PodSeen, ...]())
    record = part(record_seen, lambda: RecordStore(api, namespace, environment.name, user="").read(), None)
    if len(unseen) == len(KUBERNETES_PARTS):
        raise next(iter(unseen.values()))
    return KubernetesSeen(
        nodes=nodes,
        pods=pods,
        clusters=clusters,
        serving=cluster_behind(external_name or "", namespace),
        unfinished=record.unfinished if isinstance(record, Record) else None,
        unseen=tuple(error.cause for error in unseen.values()),
        unobserved=tuple(unseen),
    )


def _clusters(api: KubernetesApi, namespace: str) -> ClustersSeen:
    try:
        return ClustersSeen(found=tuple(list_clusters(api, namespace)))
    except AccessError as error:
        if error.code == "api-group-missing":
            return ClustersSeen(installed=False)
        raise


def _pods(api: KubernetesApi, environment: Environment) -> tuple[PodSeen, ...]:
    """The database's pods and the workloads', those of the database that ended with the end of their log."""
    writers = environment.workloads
    database = list_pods(api, environment.namespace, selector="cnpg.io/cluster")
    others = () if writers.namespace == environment.namespace else list_pods(api, writers.namespace)
    return tuple(with_last_words(api, pod) if pod.restarts else pod for pod in database) + others


_LAST_LINES = 40


def list_nodes(api: KubernetesApi) -> tuple[NodeSeen, ...]:
    """All nodes. Raises AccessError."""
    return tuple(map(NodeSeen.from_object, _items(api, "list the nodes", api.core.list_node)))


def list_pods(api: KubernetesApi, namespace: str, selector: str = "") -> tuple[PodSeen, ...]:
    """The pods of a namespace that match ``selector``, without those that have done their work. Raises AccessError."""
    found = _items(
        api, f"list the pods in {namespace}", api.core.list_namespaced_pod, namespace, label_selector=selector
    )
    return tuple(PodSeen.from_object(raw) for raw in found if (raw.get("status") or {}).get("phase") != "Succeeded")


def with_last_words(api: KubernetesApi, pod: PodSeen) -> PodSeen:
    """The pod with the end of the log of its container that ended; as it was where there is none (any more)."""
    what = f"read the log of {pod.namespace}/{pod.name}"
    log = api.core.read_namespaced_pod_log
    asked = {"container": pod.container, "previous": True, "tail_lines": _LAST_LINES}
    try:
        said = api.ask(what, log, pod.name, pod.namespace, _preload_content=False, **asked).data
    except AccessError:
        return pod
    return replace(pod, last_words=tuple(said.decode(errors="replace").splitlines()))


def _items(api: KubernetesApi, what: str, call: Any, *args: str, **options: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = api.ask_plain(what, call, *args, **options)["items"]
    return found


_BREAKS = {"SERVICE_DISRUPTION", "SERVICE_OUTAGE"}


def incidents_now(url: str, *, seconds: float) -> tuple[Incident, ...]:
    """The disruptions and outages that are going on. Raises AccessError ``status-page-unreachable``."""
    try:
        answer = requests.get(url, timeout=seconds)
        answer.raise_for_status()
        return tuple(_incident(raw, url) for raw in answer.json() if _goes_on(raw))
    except (requests.RequestException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise AccessError(
            "status-page-unreachable",
            f"{url} cannot be read: {str(error)[:200]}",
            "look at https://status.cloud.google.com from another machine",
        ) from error


def _goes_on(raw: Mapping[str, Any]) -> bool:
    return not raw.get("end") and raw.get("status_impact") in _BREAKS


def _incident(raw: Mapping[str, Any], url: str) -> Incident:
    return Incident(
        what=" ".join(str(raw.get("external_desc") or "an incident").split())[:200],
        regions=frozenset(one["id"] for one in raw.get("currently_affected_locations") or ()),
        products=tuple(one["title"] for one in raw.get("affected_products") or ()) or (raw.get("service_name", ""),),
        began=datetime.fromisoformat(raw["begin"]).astimezone(UTC),
        page=urljoin(url, raw.get("uri") or ""),
    )
