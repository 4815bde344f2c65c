"""What ``pulumi up`` by hand does besides declaring, at a double of the Kubernetes API."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dr.core.errors import AccessError, InterruptedOperationError, RefusedError, VerificationError
from dr.core.history import Outcome
from dr.core.target import LaterCommits
from dr.desired.pulumi_up import apply, decide
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.postgres.clients import Client
from dr.recovery import run as recovery
from dr.run.session import Session
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_decision,
    a_holder,
    a_record,
    a_recovered,
    a_situation,
    an_environment,
    lease_object,
)
from tests.support.doubles import Impatient, RanInPod, in_pods, said, serving
from tests.support.fake_environment import CLUSTERS, FakeEnvironment

TIME = "2026-04-27T09:55:00Z"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/data/leases/postgres-dr-prod"


@pytest.fixture
def wire(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEnvironment]:
    def in_pod(ran: RanInPod) -> Ran | AccessError:
        if ran.command[0] == "pg_isready":
            return said(code=2 if world.fenced(ran.pod.removesuffix("-1")) else 0)
        return AccessError("exec-timeout", "no answer", "look")

    with serving(FakeEnvironment()) as world:
        in_pods(monkeypatch, in_pod)
        yield world


def session(api: KubernetesApi, **desired: Any) -> Session:
    environment = an_environment(recovery=desired or None, smokeTestUrl=None)
    return Session(environment=environment, api=api, holder=a_holder(), clock=lambda: NOW, stop=Impatient())


def test_without_a_wish_the_record_is_what_is_declared(api: KubernetesApi, wire: FakeEnvironment) -> None:
    decided = decide(session(api))
    assert [cluster.name for cluster in decided.declaration.clusters] == ["postgres-prod-recovered", "other"]
    assert decided.declaration.external_name is None
    apply(session(api), decided)
    assert {asked.method for asked in wire.asked} == {"GET"}


def test_a_preview_of_a_cutover_declares_it_and_changes_nothing(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    decided = decide(session(api, targetTime=TIME, cutover=True))
    assert decided.declaration.external_name == RECOVERED_HOST
    assert wire.did == []
    assert wire.host == SOURCE_HOST


def test_a_cutover_keeps_the_old_cluster_still_first_and_is_remembered_for_the_way_back(
    api: KubernetesApi, wire: FakeEnvironment
) -> None:
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    asked = session(api, targetTime=TIME, cutover=True)
    apply(asked, decide(asked))
    assert wire.did == ["postgres-prod fenced", "postgres-prod-recovered let go"]
    record = wire.record
    assert (record.external_name, record.came_from, record.fenced) == (
        RECOVERED_HOST,
        (SOURCE_HOST,),
        ("postgres-prod",),
    )
    assert (record.operations[-1].operation, record.operations[-1].outcome) == ("pulumi up", Outcome.DONE)
    # AND once it is applied, it is not acted on again
    wire.points_to(RECOVERED_HOST)
    again = decide(asked)
    assert (again.moved, again.declaration.external_name) == (None, RECOVERED_HOST)


def test_after_a_move_by_hand_the_way_back_leads_to_the_cluster_that_was_left(
    api: KubernetesApi, wire: FakeEnvironment
) -> None:
    """E8. As by ``dr switchover``: where the Service was moved by other hands, that is not where a rollback goes."""
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    wire.points_to("page.example.org")
    asked = session(api, targetTime=TIME, cutover=True)
    apply(asked, decide(asked))
    assert wire.did == ["postgres-prod fenced", "postgres-prod-recovered let go"]
    assert wire.record.came_from == (SOURCE_HOST,)


def test_a_stop_while_the_old_cluster_still_serves_lets_no_other_write(
    api: KubernetesApi, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN an old Cluster whose instance does not shut down, and a stop meanwhile
    in_pods(monkeypatch, lambda _: said(code=0))
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    asked = session(api, targetTime=TIME, cutover=True)
    stop = Impatient(lambda _: stop.set())
    # WHEN
    with pytest.raises(InterruptedOperationError, match="postgres-prod to stop serving"):
        apply(replace(asked, stop=stop), decide(asked))
    # THEN the recovered one is not let write, and the Service is not declared to point to it
    assert wire.did == ["postgres-prod fenced"]
    assert wire.record.external_name is None


def test_taking_the_cutover_back_is_the_way_back(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    there = session(api, targetTime=TIME, cutover=True)
    apply(there, decide(there))
    wire.points_to(RECOVERED_HOST)
    wire.did.clear()
    back = session(api, targetTime=TIME, cutover=False)
    decided = decide(back)
    assert decided.declaration.external_name == SOURCE_HOST
    apply(back, decided)
    assert wire.did == ["postgres-prod-recovered fenced", "postgres-prod let go"]
    assert (wire.record.external_name, wire.record.came_from) == (SOURCE_HOST, ())


def test_a_cluster_that_was_not_verified_gets_no_traffic(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()))
    with pytest.raises(RefusedError) as refused:
        decide(session(api, targetTime=TIME, cutover=True))
    assert [problem.code for problem in refused.value.problems] == ["recovered-not-verified"]


def test_a_recovery_and_its_cutover_in_one_step_are_refused(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record())
    with pytest.raises(RefusedError, match="nothing is recovered") as refused:
        decide(session(api, targetTime=TIME, cutover=True))
    assert refused.value.problems[0].code == "cutover-too-early"


def test_a_recovery_is_declared_beside_the_others_and_remembered_before_it_is_made(
    api: KubernetesApi, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.remember(a_record(a_recovered("other")))
    wanted: list[recovery.RecoveryOptions] = []

    def decided_so(_: Session, asked: recovery.RecoveryOptions) -> Any:
        wanted.append(asked)
        return a_decision(a_situation())

    monkeypatch.setattr(recovery, "decide", decided_so)
    other = "2026-04-27T09:00:00Z"
    asked = session(api, targetTime=other)
    decided = decide(asked)
    assert [cluster.name for cluster in decided.declaration.clusters] == ["other", "postgres-prod-recovered"]
    apply(asked, decided)
    assert wire.record.recovery("postgres-prod-recovered") is not None
    assert wanted[0].target is not None
    assert wanted[0].target.value == "2026-04-27T09:00:00+00:00"
    assert dict(wire.record.applied) == {"targetTime": "2026-04-27T09:00:00+00:00", "cutover": None}


def test_somebody_at_work_keeps_a_person_out(api: KubernetesApi, wire: FakeEnvironment) -> None:
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    wire.keep(LEASE, lease_object("bob@ops-2:8"))
    asked = session(api, targetTime=TIME, cutover=True)
    decided = decide(asked)
    with pytest.raises(RefusedError) as refused:
        apply(asked, decided)
    assert refused.value.problems[0].code == "another-operator"
    assert wire.did == []


def test_the_clusters_of_the_record_that_are_gone_are_not_declared(api: KubernetesApi, wire: FakeEnvironment) -> None:
    del wire.objects[f"{CLUSTERS}/other"]
    assert [cluster.name for cluster in decide(session(api)).declaration.clusters] == ["postgres-prod-recovered"]


def _counted(monkeypatch: pytest.MonkeyPatch, planned: int, at_the_fence: int, *, clients: tuple[Client, ...]) -> None:
    """So many transactions would stay behind, and these are connected."""

    def counting(count: int) -> Any:
        return lambda *_, **__: LaterCommits(count=count, last=NOW, complete=True)

    monkeypatch.setattr("dr.switchover.run.other_clients", lambda *_, **__: clients)
    monkeypatch.setattr("dr.switchover.run.left_behind", counting(planned))
    monkeypatch.setattr("dr.switchover.steps.left_behind", counting(at_the_fence))


def _stopped(wire: FakeEnvironment) -> None:
    for name in ("api", "worker"):
        wire.scaled(name, 0)


CLIENT = Client(database="shop", role="keeper", application="psql", address="10.1.2.3", kind="client backend", count=1)


@pytest.mark.parametrize(
    ("running", "clients", "at_the_fence"),
    [(False, (), 5), (False, (CLIENT,), 2), (True, (), 2)],
    ids=["more", "somebody else may write", "the workloads may write"],
)
def test_a_cutover_leaves_nothing_behind_that_its_preview_could_not_announce(
    api: KubernetesApi,
    wire: FakeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    running: bool,
    clients: tuple[Client, ...],
    at_the_fence: int,
) -> None:
    """E8: the number of the preview that was agreed to holds only where nobody could add to it."""
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    if not running:
        _stopped(wire)
    _counted(monkeypatch, 2, at_the_fence, clients=clients)
    asked = session(api, targetTime=TIME, cutover=True)
    with pytest.raises(VerificationError, match=f"{at_the_fence} transactions") as stopped:
        apply(asked, decide(asked))
    assert stopped.value.code == "more-left-behind"
    assert "pulumi up, once more" in stopped.value.remedy
    assert wire.did == ["postgres-prod fenced"]
    assert wire.record.external_name is None
    # AND the next one has the number in its preview, and does it
    _counted(monkeypatch, at_the_fence, at_the_fence, clients=clients)
    again = decide(asked)
    assert again.announcements[0].startswith(f"Left behind: {at_the_fence} transactions")
    apply(asked, again)
    assert wire.record.external_name == RECOVERED_HOST


def test_a_cutover_at_which_nobody_could_write_needs_one_run(
    api: KubernetesApi, wire: FakeEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.remember(a_record(a_recovered()).with_verified("postgres-prod-recovered", 7))
    _stopped(wire)
    _counted(monkeypatch, 2, 2, clients=())
    asked = session(api, targetTime=TIME, cutover=True)
    apply(asked, decide(asked))
    assert wire.record.external_name == RECOVERED_HOST
