"""Reading nodes, pods, and Google's status page."""

from typing import Any

import pytest

from dr.core.errors import AccessError
from dr.diagnose.observe import incidents_now, list_nodes, list_pods, with_last_words
from dr.kube.api import KubernetesApi
from tests.support.doubles import Wire, closed_port

PODS = "/api/v1/namespaces/prod/pods"


def _node(name: str, *, ready: str, labels: dict[str, str] | None = None, taint: str = "") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": "2026-04-27T11:00:00Z", "message": "silent"}
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}] if taint else None},
        "status": {"conditions": [condition]},
    }


def _pod(name: str, status: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "prod", "labels": {"cnpg.io/cluster": "postgres-prod"}},
        "status": status,
    }


def test_a_node_tells_whether_it_is_ready_spot_and_about_to_go(wire: Wire, api: KubernetesApi) -> None:
    labels = {"cloud.google.com/gke-spot": "true", "topology.kubernetes.io/region": "asia-northeast1"}
    nodes = [
        _node("a", ready="Unknown", labels=labels),
        _node("b", ready="True", taint="cloud.google.com/impending-node-termination"),
        {"metadata": {"name": "c"}},
    ]
    wire.on("/api/v1/nodes", {"items": nodes})
    a, b, c = list_nodes(api)
    assert (a.ready, a.spot, a.ending, a.region, a.reason) == (False, True, False, "asia-northeast1", "silent")
    assert (b.ready, b.spot, b.ending) == (True, False, True)
    assert (c.ready, c.since, c.reason) == (False, None, "its kubelet has never reported")


def test_a_pod_tells_of_its_container_that_is_worst_off(wire: Wire, api: KubernetesApi) -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-04-27T11:59:00Z"}
    crashing = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {"name": "proxy", "restartCount": 9, "state": {"running": {}}},
            {
                "name": "api",
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ended},
            },
        ],
    }
    wire.on(PODS, {"items": [_pod("a", crashing), _pod("done", {"phase": "Succeeded"})]})
    (pod,) = list_pods(api, "prod")
    assert (pod.container, pod.waiting, pod.restarts) == ("api", "CrashLoopBackOff", 3)
    assert (pod.exit_code, pod.ended, pod.cluster, pod.ready) == (137, "OOMKilled", "postgres-prod", False)


def test_a_pod_tells_that_its_node_was_taken_away_or_that_it_finds_none(wire: Wire, api: KubernetesApi) -> None:
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    gone = _pod("ended", {"phase": "Failed", "reason": "Terminated"})
    wire.on(PODS, {"items": [gone, _pod("waits", {"phase": "Pending", "conditions": [unplaced]})]})
    ended, waits = list_pods(api, "prod")
    assert (ended.node_ended, waits.node_ended) == (True, False)
    assert (ended.unschedulable, waits.unschedulable) == ("", "0/3 nodes")


def test_a_pods_last_words_are_those_of_the_container_before(wire: Wire, api: KubernetesApi) -> None:
    wire.on(PODS, {"items": [_pod("a", {"containerStatuses": [{"name": "postgres", "restartCount": 2}]})]})
    wire.on(f"{PODS}/a/log", b"starting\nPANIC: no checkpoint\n")
    (pod,) = list_pods(api, "prod")
    assert with_last_words(api, pod).last_words == ("starting", "PANIC: no checkpoint")
    asked = wire.asked[-1].query
    assert (asked["previous"], asked["container"]) == ("True", "postgres")


def test_a_pod_without_a_log_stays_as_it_was(wire: Wire, api: KubernetesApi) -> None:
    wire.on(PODS, {"items": [_pod("a", {})]})
    (pod,) = list_pods(api, "prod")
    assert with_last_words(api, pod) == pod


def _raw_incident(**changes: Any) -> dict[str, Any]:
    return {
        "begin": "2026-04-27T11:00:00+00:00",
        "external_desc": "Requests\n fail",
        "status_impact": "SERVICE_OUTAGE",
        "service_name": "Multiple Products",
        "affected_products": [{"title": "Google Kubernetes Engine", "id": "x"}],
        "currently_affected_locations": [{"title": "Tokyo (asia-northeast1)", "id": "asia-northeast1"}],
        "uri": "incidents/abc",
        **changes,
    }


def test_only_what_breaks_something_and_goes_on_is_an_incident(wire: Wire) -> None:
    over = _raw_incident(end="2026-04-27T11:30:00+00:00")
    harmless = _raw_incident(status_impact="SERVICE_INFORMATION")
    bare = _raw_incident(affected_products=None, currently_affected_locations=None)
    wire.on("/incidents.json", [_raw_incident(), over, harmless, bare])
    first, second = incidents_now(f"{wire.url}/incidents.json", seconds=5)
    assert (first.what, first.products) == ("Requests fail", ("Google Kubernetes Engine",))
    assert first.regions == {"asia-northeast1"}
    assert first.page == f"{wire.url}/incidents/abc"
    assert (second.products, second.regions) == (("Multiple Products",), frozenset())


@pytest.mark.parametrize("body", [b"not json", [{"status_impact": "SERVICE_OUTAGE"}], ["text"]])
def test_a_page_that_is_not_understood_is_one_that_was_not_read(wire: Wire, body: object) -> None:
    wire.on("/incidents.json", body)
    with pytest.raises(AccessError) as refused:
        incidents_now(f"{wire.url}/incidents.json", seconds=5)
    assert refused.value.code == "status-page-unreachable"


def test_a_page_that_is_away_is_told() -> None:
    with pytest.raises(AccessError):
        incidents_now(closed_port(), seconds=5)
