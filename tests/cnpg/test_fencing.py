"""Keeping a Cluster from writing, at a double of the Kubernetes API and of the programs in its pods."""

from threading import Event

import pytest

from dr.cnpg.fencing import fence, unfence
from dr.core.errors import AccessError, InterruptedOperationError, StepFailedError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from tests.support.builders import cluster_object
from tests.support.doubles import Impatient, RanInPod, Wire, in_pods, said

CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters/postgres-prod"
PODS = "/api/v1/namespaces/data/pods"
NAME = "postgres-prod"
SERVES, REJECTS, SILENT = said(code=0), said(code=1), said(code=2)
GONE = AccessError("container-not-running", "container not found", "repeat")


class _Cluster:
    """A Cluster with two instances. ``states`` is what pg_isready says in each."""

    def __init__(self, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
        self._wire = wire
        self.states: dict[str, Ran | AccessError] = {f"{NAME}-1": SERVES, f"{NAME}-2": SERVES}
        self.ran = in_pods(monkeypatch, self._answer)
        self.phases(Running=self.states)
        wire.on(CLUSTER, cluster_object())
        wire.on(CLUSTER, cluster_object(), method="PATCH")

    def _answer(self, ran: RanInPod) -> Ran | AccessError:
        assert ran.command == ["pg_isready", "-q"]
        return self.states[ran.pod]

    def phases(self, **pods: object) -> None:
        """The pods by their phase."""
        items = [
            {"metadata": {"name": name}, "status": {"phase": phase}}
            for phase, names in pods.items()
            for name in (names if isinstance(names, dict | list) else [])
        ]
        self._wire.on(PODS, {"items": items})

    def becomes(self, state: Ran | AccessError) -> None:
        self.states = dict.fromkeys(self.states, state)

    def unhealthy(self) -> None:
        raw = cluster_object()
        raw["status"]["phase"] = "Waiting for the instances to become active"
        self._wire.on(CLUSTER, raw)

    @property
    def annotated(self) -> list[object]:
        return [asked.body for asked in self._wire.received("PATCH")]


@pytest.fixture
def cluster(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> _Cluster:
    return _Cluster(wire, monkeypatch)


def _fence(api: KubernetesApi, stop: Event, *, limit: float = 60, hibernate: bool = False) -> None:
    fence(api, "data", NAME, hibernate=hibernate, limit=limit, stop=stop)


@pytest.mark.parametrize(
    ("hibernate", "annotations"),
    [(False, {"cnpg.io/fencedInstances": '["*"]'}), (True, {"cnpg.io/hibernation": "on"})],
)
def test_the_cluster_is_told_by_cloudnativepgs_annotation_and_nothing_else(
    cluster: _Cluster, api: KubernetesApi, hibernate: bool, annotations: dict[str, str]
) -> None:
    cluster.becomes(SILENT)
    _fence(api, Event(), hibernate=hibernate)
    assert cluster.annotated == [{"metadata": {"annotations": annotations}}]


def test_every_instance_is_asked_and_only_instances(cluster: _Cluster, api: KubernetesApi, wire: Wire) -> None:
    cluster.becomes(SILENT)
    _fence(api, Event())
    assert [ran.pod for ran in cluster.ran] == ["postgres-prod-1", "postgres-prod-2"]
    (listed,) = [asked for asked in wire.asked if asked.path == PODS]
    assert listed.query["labelSelector"] == "cnpg.io/cluster=postgres-prod,cnpg.io/podRole=instance"


def test_it_is_waited_for_until_the_last_instance_is_silent(cluster: _Cluster, api: KubernetesApi) -> None:
    def shut_down(waited: int) -> None:
        cluster.states[f"{NAME}-{waited + 1}"] = SILENT

    stop = Impatient(shut_down)
    _fence(api, stop)
    assert len(stop.waited) == 2


@pytest.mark.parametrize("state", [SERVES, REJECTS], ids=["serves", "still shuts down"])
def test_an_instance_that_may_still_write_is_not_let_pass(cluster: _Cluster, api: KubernetesApi, state: Ran) -> None:
    cluster.becomes(SILENT)
    cluster.states["postgres-prod-2"] = state
    with pytest.raises(StepFailedError) as failed:
        _fence(api, Event(), limit=0)
    assert failed.value.code == "still-serving"
    assert "postgres-prod-2" in failed.value.cause
    assert "postgres-prod-1 " not in failed.value.cause


def test_a_pod_whose_container_is_gone_serves_no_more(cluster: _Cluster, api: KubernetesApi) -> None:
    cluster.becomes(GONE)
    _fence(api, Event(), limit=0)


CUT_OFF = {
    "the node": AccessError("api-error", "500 error dialing backend: no route to host", "repeat"),
    "the way there": AccessError("api-unreachable", "connection refused", "check"),
    "the right": AccessError("forbidden", "may not", "ask for it"),
    "the time": AccessError("exec-timeout", "not within 10 s", "look"),
}


@pytest.mark.parametrize("answer", CUT_OFF.values(), ids=CUT_OFF)
def test_an_instance_that_could_not_be_asked_is_not_silent(
    cluster: _Cluster, api: KubernetesApi, answer: AccessError
) -> None:
    """E5: a node that is cut off goes on serving whoever is connected."""
    cluster.becomes(SILENT)
    cluster.states[f"{NAME}-1"] = answer
    with pytest.raises(StepFailedError) as failed:
        _fence(api, Event(), limit=0)
    assert failed.value.code == "fence-not-seen"
    assert "postgres-prod-1" in failed.value.cause
    assert "--force" in failed.value.remedy


def test_a_pod_whose_node_does_not_report_is_asked(cluster: _Cluster, api: KubernetesApi) -> None:
    """E5: its phase is Unknown."""
    cluster.becomes(CUT_OFF["the node"])
    cluster.phases(Unknown=[f"{NAME}-1"])
    with pytest.raises(StepFailedError) as failed:
        _fence(api, Event(), limit=0)
    assert failed.value.code == "fence-not-seen"


def test_pods_that_have_ended_are_not_asked(cluster: _Cluster, api: KubernetesApi) -> None:
    cluster.phases(Succeeded=["postgres-prod-1"], Failed=["postgres-prod-2"])
    _fence(api, Event(), limit=0, hibernate=True)
    assert cluster.ran == []


def test_waiting_for_stillness_ends_when_told_to_stop(cluster: _Cluster, api: KubernetesApi) -> None:
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match=f"data/{NAME} to stop serving"):
        _fence(api, stop)
    assert len(stop.waited) == 1


def _unfence(api: KubernetesApi, stop: Event, *, limit: float = 60) -> None:
    unfence(api, "data", NAME, limit=limit, stop=stop)


def test_letting_write_again_takes_both_annotations_back(cluster: _Cluster, api: KubernetesApi) -> None:
    _unfence(api, Event())
    assert cluster.annotated == [
        {"metadata": {"annotations": {"cnpg.io/fencedInstances": None, "cnpg.io/hibernation": None}}}
    ]


def test_a_status_of_before_the_fence_is_not_believed(cluster: _Cluster, api: KubernetesApi) -> None:
    # GIVEN a Cluster whose status still says healthy, and whose server is still down
    cluster.becomes(SILENT)
    stop = Impatient(lambda _: cluster.becomes(SERVES))
    _unfence(api, stop)
    assert len(stop.waited) == 1


def test_a_server_that_answers_in_a_cluster_that_is_not_healthy_is_waited_for(
    cluster: _Cluster, api: KubernetesApi, wire: Wire
) -> None:
    cluster.unhealthy()
    stop = Impatient(lambda _: wire.on(CLUSTER, cluster_object()))
    _unfence(api, stop)
    assert len(stop.waited) == 1


def test_a_cluster_that_does_not_come_back_is_told_with_its_phase(cluster: _Cluster, api: KubernetesApi) -> None:
    cluster.unhealthy()
    with pytest.raises(StepFailedError) as failed:
        _unfence(api, Event(), limit=0)
    assert failed.value.code == "not-serving"
    assert "Waiting for the instances to become active" in failed.value.cause


def test_waiting_for_health_ends_when_told_to_stop(cluster: _Cluster, api: KubernetesApi) -> None:
    cluster.unhealthy()
    stop = Impatient(lambda _: stop.set())
    with pytest.raises(InterruptedOperationError, match=f"data/{NAME} to be healthy"):
        _unfence(api, stop)
    assert len(stop.waited) == 1


@pytest.mark.parametrize("code", ["forbidden", "token-expired", "exec-timeout"])
def test_an_instance_that_could_not_be_asked_is_not_taken_for_silent(
    cluster: _Cluster, api: KubernetesApi, code: str
) -> None:
    cluster.becomes(AccessError(code, "could not ask", "do"))
    with pytest.raises(StepFailedError):
        _fence(api, Event(), limit=0)
