"""Watching one recovered Cluster come up: the object, its pods, its warnings and its recovery logs, all at once.

Everything comes from Kubernetes watches and followed logs, so a change is seen when it happens. Each source has a
thread that puts observations into one queue; the fold over them is pure (:mod:`dr.cnpg.progress`).
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Self

import urllib3
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import GROUP, PLURAL, RECOVERY_JOB_LABEL, RECOVERY_JOB_ROLES, VERSION
from dr.cnpg.progress import LogSeen, Observation, PodSeen, WarningSeen
from dr.kube.api import KubernetesApi

_WATCH_SECONDS = 60
_RETRY_SECONDS = 0.5
_SIDECAR = "plugin-barman-cloud"


class RecoveryWatch:
    """The observations of one Cluster, from entering the context until leaving it."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str, *, since: datetime) -> None:
        """``since`` keeps out what an earlier run has seen: warnings, and attempts that had failed by then."""
        self._api = api
        self._namespace = namespace
        self._name = name
        self._since = since
        self._seen: queue.SimpleQueue[Observation] = queue.SimpleQueue()
        self._over = threading.Event()
        self._followed: set[str] = set()

    def __enter__(self) -> Self:
        """Start watching; the Cluster need not exist yet."""
        for source in (self._clusters, self._pods, self._warnings):
            self._in_background(self._for_ever, source)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop. The threads end at their next message, or with the process: they hold nothing."""
        self._over.set()

    def next(self, seconds: float) -> Observation | None:
        """The next observation, or None when none came within ``seconds``."""
        with contextlib.suppress(queue.Empty):
            return self._seen.get(timeout=seconds)
        return None

    def _in_background(self, work: Callable[..., None], *args: object) -> None:
        threading.Thread(target=work, args=args, daemon=True, name=f"watch-{self._name}").start()

    def _for_ever(self, source: Callable[[], None]) -> None:
        """Run a watch again whenever it ends: the server closes each after a while, and connections break."""
        while not self._over.is_set():
            with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError, OSError):
                source()
            self._over.wait(_RETRY_SECONDS)

    def _events(self, call: Callable[..., Any], *args: str, **options: str) -> Iterator[Any]:
        # A watch holds its connection, so each has a client of its own.
        for event in watch.Watch().stream(call, *args, timeout_seconds=_WATCH_SECONDS, **options):
            if self._over.is_set():
                return
            yield event["object"]

    def _clusters(self) -> None:
        custom: Any = client.CustomObjectsApi(self._api.new_client())
        for raw in self._events(
            custom.list_namespaced_custom_object,
            GROUP,
            VERSION,
            self._namespace,
            PLURAL,
            field_selector=f"metadata.name={self._name}",
        ):
            self._seen.put(ClusterSnapshot.from_object(raw))

    def _pods(self) -> None:
        core: Any = client.CoreV1Api(self._api.new_client())
        for pod in self._events(
            core.list_namespaced_pod, self._namespace, label_selector=f"cnpg.io/cluster={self._name}"
        ):
            recovery = _role(pod) in RECOVERY_JOB_ROLES
            if recovery and pod.status.phase == "Failed" and pod.metadata.creation_timestamp < self._since:
                continue  # an attempt that an earlier run has reported
            self._seen.put(
                PodSeen(
                    name=pod.metadata.name,
                    recovery=recovery,
                    phase=pod.status.phase or "",
                    waiting_for=_waiting_for(pod),
                )
            )
            if recovery and pod.status.phase not in {None, "Pending"} and pod.metadata.name not in self._followed:
                self._followed.add(pod.metadata.name)
                stale = pod.metadata.creation_timestamp < self._since
                for container in _told_by(pod):
                    self._in_background(self._follow_log, pod.metadata.name, container, stale)

    def _warnings(self) -> None:
        core: Any = client.CoreV1Api(self._api.new_client())
        for event in self._events(core.list_namespaced_event, self._namespace, field_selector="type=Warning"):
            about, when = event.involved_object.name or "", event.last_timestamp or event.event_time
            if about.startswith(self._name) and when and when >= self._since:
                self._seen.put(WarningSeen(about=about, reason=event.reason or "", message=event.message or ""))

    def _follow_log(self, pod: str, container: str, stale: bool) -> None:
        core: Any = client.CoreV1Api(self._api.new_client())
        with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError, OSError):
            log = core.read_namespaced_pod_log(
                pod, self._namespace, container=container, follow=True, _preload_content=False
            )
            rest = b""
            for chunk in log.stream(decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._seen.put(LogSeen(pod=pod, line=line.decode(errors="replace"), stale=stale))
                if self._over.is_set():
                    return


def _role(pod: Any) -> str:
    return str((pod.metadata.labels or {}).get(RECOVERY_JOB_LABEL, ""))


def _told_by(pod: Any) -> list[str]:
    """The containers whose logs tell of a recovery. The Barman Cloud plugin fetches the base backup, and looks at the
    new archive, in a sidecar: an init container that keeps running.
    """
    known = [container.name for container in pod.spec.init_containers or ()]
    return [_role(pod), *(name for name in known if name == _SIDECAR)]


def _waiting_for(pod: Any) -> str:
    """Why a pod does not run yet, in Kubernetes' words: unscheduled, or a container that waits."""
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return condition.message or condition.reason or ""
    for status in [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]:
        waiting = status.state.waiting if status.state else None
        if waiting and waiting.reason not in {"PodInitializing", "ContainerCreating"}:
            return f"{waiting.reason}: {waiting.message or ''}".rstrip(": ")
    return ""
