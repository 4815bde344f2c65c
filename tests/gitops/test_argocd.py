"""What of Argo CD has to be paused, in which order, and how its settings come back."""

from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from dr.core.errors import InterruptedOperationError, StepFailedError
from dr.gitops.argocd import REFRESH, Manager, argocd_warnings, managers_of
from dr.gitops.argocd_api import await_at_rest, await_quiet, can_disable, compare, list_managers
from dr.gitops.steps import pause_where_needed
from dr.kube.api import KubernetesApi
from dr.kube.objects import ObjectKey
from dr.switchover.run import Move
from tests.support.builders import a_move, a_workload
from tests.support.doubles import Impatient, Wire

API = ObjectKey("apps", "Deployment", "prod", "api")
AUTOMATED = {"prune": True, "selfHeal": True}
APPLICATIONS = "/apis/argoproj.io/v1alpha1/applications"
CHILD = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/child"
SETS = "/apis/argoproj.io/v1alpha1/applicationsets"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.argoproj.io"


def _raw(name: str, *, parent: str = "", policy: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    annotations = {"argocd.argoproj.io/tracking-id": f"{parent}:argoproj.io/Application:argocd/{name}"}
    resource = {"group": "apps", "kind": "Deployment", "namespace": "prod", "name": "api", "status": "OutOfSync"}
    return {
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd", "annotations": annotations if parent else {}},
        "spec": {"syncPolicy": {"automated": AUTOMATED} if policy is None else policy},
        "status": {"resources": [resource], **more},
    }


def _manager(name: str, **more: Any) -> Manager:
    return Manager.from_object(_raw(name, **more))


def _parent(name: str = "root", **more: Any) -> Manager:
    return Manager.from_object({**_raw(name, **more), "status": {}})


def test_owners_come_before_what_they_own_and_others_not_at_all() -> None:
    root, middle = _parent("root"), _parent("middle", parent="root")
    child, other = _manager("child", parent="middle"), _parent("other")
    assert managers_of([API], [child, other, middle, root]) == (root, middle, child)


def test_a_parent_of_two_is_paused_once() -> None:
    root, one, two = _parent(), _manager("one", parent="root"), _manager("two", parent="root")
    assert managers_of([API], [one, two, root]) == (root, one, two)


def test_an_application_of_a_set_is_owned_by_the_set() -> None:
    raw = _raw("child")
    raw["metadata"]["ownerReferences"] = [{"kind": "ApplicationSet", "name": "all"}]
    owner = Manager.from_object({"kind": "ApplicationSet", "metadata": {"name": "all", "namespace": "argocd"}})
    assert managers_of([API], [Manager.from_object(raw), owner])[0] == owner


def test_owners_in_a_circle_are_no_endless_way_up() -> None:
    one, two = _manager("one", parent="two"), _manager("two", parent="one")
    assert {manager.name for manager in managers_of([API], [one, two])} == {"one", "two"}


def test_an_application_elsewhere_is_found_by_its_namespaced_mark() -> None:
    assert _manager("child", parent="team_root").owner == ("Application", "team", "root")


@pytest.mark.parametrize(
    ("policy", "paused"),
    [
        ({"automated": AUTOMATED}, False),
        ({"automated": {}}, False),
        ({"automated": {**AUTOMATED, "enabled": False}}, True),
        ({}, True),
    ],
)
def test_without_automated_sync_nothing_is_put_back(policy: dict[str, Any], paused: bool) -> None:
    assert _manager("child", policy=policy).paused is paused


def test_a_pause_disables_where_that_is_known_and_removes_where_it_is_not() -> None:
    child = _manager("child")
    assert child.pause(can_disable=True)["spec"] == {"syncPolicy": {"automated": {"enabled": False}}}
    assert child.pause(can_disable=False)["spec"] == {"syncPolicy": {"automated": None}}


def test_a_pause_asks_for_a_new_comparison_as_the_one_under_way_does_not_know_of_it() -> None:
    annotations = _manager("child").pause(can_disable=True)["metadata"]["annotations"]
    assert annotations == {"argocd.argoproj.io/refresh": "normal"}


def test_a_release_puts_back_what_was_there_and_nothing_of_the_pause() -> None:
    child = _manager("child")
    assert child.release(child.setting) == {"spec": {"syncPolicy": {"automated": {**AUTOMATED, "enabled": None}}}}
    declared = {**AUTOMATED, "enabled": True}
    assert child.release(declared) == {"spec": {"syncPolicy": {"automated": declared}}}


def test_a_set_is_paused_by_creating_only() -> None:
    found = Manager.from_object({"kind": "ApplicationSet", "metadata": {"name": "all", "namespace": "argocd"}})
    assert not found.paused
    assert found.pause(can_disable=True) == {"spec": {"syncPolicy": {"applicationsSync": "create-only"}}}
    assert found.release(None) == {"spec": {"syncPolicy": {"applicationsSync": None}}}


def test_a_plan_has_the_step_only_where_something_would_be_put_back() -> None:
    op = Move(a_move())
    assert list(pause_where_needed(op, [])) == []
    assert list(pause_where_needed(op, [_manager("child", policy={})])) == []
    (step,) = pause_where_needed(op, [_parent(), _manager("child", policy={})])
    assert step.key == "pause-argocd"
    assert "Application argocd/root" in step.detail()
    assert "child" not in step.detail()


def test_marked_workloads_without_an_application_here_are_warned_of() -> None:
    workload = replace(a_workload("api"), argo_managed=True)
    (warning,) = argocd_warnings([workload], [])
    assert "not in this cluster manages api" in warning
    assert list(argocd_warnings([workload], [_manager("child")])) == []


def test_without_argo_cd_there_is_nothing(api: KubernetesApi) -> None:
    assert list_managers(api) == []


def test_applications_and_sets_are_listed(wire: Wire, api: KubernetesApi) -> None:
    items = [{key: value for key, value in _raw("child").items() if key != "kind"}]
    wire.on(APPLICATIONS, {"items": items})
    wire.on(SETS, {"items": [{"metadata": {"name": "all", "namespace": "argocd"}}]})
    assert [str(manager) for manager in list_managers(api)] == [
        "Application argocd/child",
        "ApplicationSet argocd/all",
    ]


@pytest.mark.parametrize("knows", [True, False])
def test_whether_it_can_be_disabled_is_asked_of_the_crd(wire: Wire, api: KubernetesApi, knows: bool) -> None:
    schema: dict[str, Any] = {"properties": {"prune": {}, **({"enabled": {}} if knows else {})}}
    for field in ("automated", "syncPolicy", "spec"):
        schema = {"properties": {field: schema}}
    wire.on(CRD, {"spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]}})
    assert can_disable(api) is knows


@pytest.mark.parametrize("may_read", [True, False])
def test_what_does_not_come_in_sync_is_told_with_the_window_that_may_forbid_it(
    wire: Wire, api: KubernetesApi, may_read: bool
) -> None:
    # GIVEN an Application that stays out of sync, of a project with a sync window that one may read, or not
    raw = _raw("child")
    raw["spec"]["project"] = "shop"
    path = "/apis/argoproj.io/v1alpha1/namespaces/argocd"
    wire.on(f"{path}/applications/child", raw)
    wire.on(f"{path}/applications/child", raw, method="PATCH")
    window = {"kind": "deny", "schedule": "0 8 * * *", "duration": "10h"}
    project = {"spec": {"syncWindows": [window]}} if may_read else {"message": "no"}
    wire.on(f"{path}/appprojects/shop", project, status=200 if may_read else 403)
    # WHEN it is waited for
    with pytest.raises(StepFailedError) as told:
        await_at_rest(api, [Manager.from_object(raw)], limit=0, stop=Event())
    # THEN both are named, or what is known
    assert told.value.code == "argocd-not-at-rest"
    assert "Application argocd/child (Deployment prod/api)" in told.value.cause
    said = "AppProject shop has a sync window: deny 0 8 * * * for 10h"
    assert (said in told.value.cause) is may_read


def _quiet(api: KubernetesApi, raw: dict[str, Any], stop: Event, *, limit: float = 60, hold: float = 0) -> None:
    await_quiet(api, [Manager.from_object(raw)], hold=hold, limit=limit, stop=stop)


@pytest.fixture
def paused(wire: Wire) -> dict[str, Any]:
    """A paused Application, as Argo CD keeps it."""
    raw = _raw("child", policy={})
    wire.on(CHILD, raw)
    return raw


def test_a_sync_that_is_under_way_is_waited_for(wire: Wire, api: KubernetesApi, paused: dict[str, Any]) -> None:
    wire.on(CHILD, {**paused, "operation": {"sync": {}}})
    stop = Impatient(lambda _: wire.on(CHILD, paused))
    _quiet(api, paused, stop)
    assert len(stop.waited) == 1


def test_a_sync_that_does_not_end_is_told(wire: Wire, api: KubernetesApi, paused: dict[str, Any]) -> None:
    wire.on(CHILD, {**paused, "operation": {"sync": {}}})
    with pytest.raises(StepFailedError, match="still syncing Application argocd/child") as failed:
        _quiet(api, paused, Impatient(), limit=0)
    assert failed.value.code == "sync-does-not-end"


def test_a_pause_that_is_undone_while_it_has_to_hold_is_told(
    wire: Wire, api: KubernetesApi, paused: dict[str, Any]
) -> None:
    automated = {**paused, "spec": {**paused["spec"], "syncPolicy": {"automated": {}}}}
    stop = Impatient(lambda _: wire.on(CHILD, automated))
    with pytest.raises(StepFailedError) as failed:
        _quiet(api, paused, stop, limit=0, hold=60)
    assert failed.value.code == "pause-did-not-hold"


def test_what_argocd_does_not_compare_is_not_taken_as_compared(
    wire: Wire, api: KubernetesApi, paused: dict[str, Any]
) -> None:
    refreshing = {**paused, "metadata": {**paused["metadata"], "annotations": {REFRESH: "normal"}}}
    wire.on(CHILD, refreshing)
    wire.on(CHILD, refreshing, method="PATCH")
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError):
        compare(api, Manager.from_object(paused), stop=stop)
