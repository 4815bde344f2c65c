"""Argo CD's Applications and ApplicationSets, as plain custom resources: no Argo CD API server or login is needed."""

import math
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

from dr.core.errors import AccessError, StepFailedError
from dr.core.waiting import poll
from dr.gitops.argocd import APPLICATION, APPLICATION_SET, REFRESH, Manager
from dr.kube.api import KubernetesApi

_GROUP, _VERSION = "argoproj.io", "v1alpha1"
_PLURALS = {APPLICATION: "applications", APPLICATION_SET: "applicationsets"}
_REFRESH_SECONDS = 60


def list_managers(api: KubernetesApi) -> list[Manager]:
    """All Applications and ApplicationSets of the cluster; none where Argo CD is not installed. Raises AccessError."""
    found: list[Manager] = []
    for kind, plural in _PLURALS.items():
        try:
            answer = api.ask(f"list the {kind}s", api.custom.list_cluster_custom_object, _GROUP, _VERSION, plural)
        except AccessError as error:
            if error.code == "api-group-missing":
                continue
            raise
        found += [Manager.from_object({"kind": kind, **item}) for item in answer["items"]]
    return found


def can_disable(api: KubernetesApi) -> bool:
    """Whether this Argo CD knows ``automated.enabled``, by its own CRD: from 3.1 on."""
    crd = api.find(
        "read Argo CD's CRD",
        api.custom.get_cluster_custom_object,  # not the typed API: it would build objects of the whole schema
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        f"{_PLURALS[APPLICATION]}.{_GROUP}",
    )
    schema: Any = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] if crd else {}
    for field in ("spec", "syncPolicy", "automated"):
        schema = schema.get("properties", {}).get(field, {})
    return "enabled" in schema.get("properties", {})


def patch(api: KubernetesApi, manager: Manager, body: Mapping[str, Any]) -> None:
    """Merge ``body`` into an Application or ApplicationSet."""
    api.ask(
        f"patch the {manager}",
        api.custom.patch_namespaced_custom_object,
        _GROUP,
        _VERSION,
        manager.namespace,
        _PLURALS[manager.kind],
        manager.name,
        dict(body),
    )


def compare(api: KubernetesApi, manager: Manager, *, stop: Event) -> Manager | None:
    """The Application as it is after Argo CD has compared it with Git again, or None when it is gone.

    Its own schedule would take minutes. Argo CD takes the annotation away when it is done.
    """
    if manager.kind == APPLICATION:
        patch(api, manager, {"metadata": {"annotations": {REFRESH: "normal"}}})
    for _ in poll(_REFRESH_SECONDS, stop=stop, what=f"Argo CD to compare the {manager} with Git"):
        now = read(api, manager)
        if now is None or not now.refreshing:
            return now
    raise StepFailedError(
        "argocd-does-not-answer",
        f"Argo CD has not compared the {manager} with Git within {_REFRESH_SECONDS} s",
        "is its application-controller running? Its settings stay as they are until it does",
    )


def read(api: KubernetesApi, manager: Manager) -> Manager | None:
    """The Application or ApplicationSet as it is now, or None."""
    raw = api.find(
        f"read the {manager}",
        api.custom.get_namespaced_custom_object,
        _GROUP,
        _VERSION,
        manager.namespace,
        _PLURALS[manager.kind],
        manager.name,
    )
    return Manager.from_object({"kind": manager.kind, **raw}) if raw else None


def await_quiet(api: KubernetesApi, managers: Sequence[Manager], *, hold: float, limit: float, stop: Event) -> None:
    """Wait until no sync and no comparison of ``managers`` is under way, and see that every pause stays.

    It has to stay for ``hold`` seconds.

    Raises StepFailedError ``pause-did-not-hold``, or ``sync-does-not-end`` after ``limit`` seconds.
    """
    quiet_since: float | None = None
    for elapsed in poll(math.inf, stop=stop, what="Argo CD to end its syncs"):
        now = [found for manager in managers if (found := read(api, manager))]
        if undone := [str(manager) for manager in now if not manager.paused]:
            raise StepFailedError(
                "pause-did-not-hold",
                f"the pause of {', '.join(undone)} was undone at once: something else manages it",
                "find what owns it (another Argo CD? a script?), pause that, and repeat the command",
            )
        syncing = [str(manager) for manager in now if manager.syncing or manager.refreshing]
        quiet_since = None if syncing else elapsed if quiet_since is None else quiet_since
        if quiet_since is not None and elapsed - quiet_since >= hold:
            return
        if syncing and elapsed > limit:
            raise StepFailedError(
                "sync-does-not-end",
                f"Argo CD is still syncing {', '.join(syncing)} after {limit:.0f} s",
                "end it (argocd app terminate-op), and repeat the command",
            )


def await_at_rest(api: KubernetesApi, managers: Sequence[Manager], *, limit: float, stop: Event) -> None:
    """Wait until those of ``managers`` that sync automatically are in sync with Git, healthy, and at nothing.

    Raises StepFailedError ``argocd-not-at-rest`` after ``limit`` seconds.
    """
    for manager in managers:
        compare(api, manager, stop=stop)
    for _ in poll(limit, stop=stop, what="Argo CD to bring everything in sync"):
        now = [found for manager in managers if (found := read(api, manager)) and not found.paused]
        waiting = [found for found in now if not found.at_rest or found.syncing or found.refreshing]
        if not waiting:
            return
    about = [f"{found} ({', '.join(found.out_of_sync) or 'not healthy'})" for found in waiting]
    about += [window for found in waiting for window in _sync_windows(api, found)]
    raise StepFailedError(
        "argocd-not-at-rest",
        f"Argo CD has not brought everything in sync within {limit:.0f} s: {'; '.join(dict.fromkeys(about))}",
        "look at its Applications; repeat the command when they are in sync and healthy",
    )


def _sync_windows(api: KubernetesApi, manager: Manager) -> list[str]:
    """The sync windows of an Application's project, which may be what keeps it from syncing. Shown, never changed."""
    try:
        project = api.find(
            f"read the AppProject of the {manager}",
            api.custom.get_namespaced_custom_object,
            _GROUP,
            _VERSION,
            manager.namespace,
            "appprojects",
            manager.project,
        )
    except AccessError:
        return []  # What is told already matters more than that this cannot be.
    windows = (project or {}).get("spec", {}).get("syncWindows") or ()
    return [
        f"AppProject {manager.project} has a sync window: {window.get('kind')} {window.get('schedule')} for "
        f"{window.get('duration')}"
        for window in windows
    ]
