"""From a request and a situation to a switchover or a rollback."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot, cluster_behind, read_write_host
from dr.core.errors import Problem, RefusedError, VerificationError
from dr.core.target import LaterCommits
from dr.gitops.argocd import Manager
from dr.postgres.clients import Client
from dr.switchover.plan import MoveDecision, MoveRequest, TrafficSituation, check_left_behind
from dr.switchover.run import Move
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_move,
    a_record,
    a_recovered,
    a_source,
    a_traffic_situation,
    a_workload,
    an_environment,
    as_seen,
)

ALL = ["remember", "stop-writers", "fence", "unfence", "switch", "reach", "start-workloads", "smoke-test", "back-up"]
BACK = ALL[:-1]
RECOVERED, UNHEALTHY = as_seen(a_recovered()), as_seen(a_recovered(), healthy=False)
A_CLIENT = Client(
    database="shop", role="keeper", application="psql", address="10.1.2.3", kind="client backend", count=1
)
QUIETED = {"postgres-dr/quieted": '{"max_logical_replication_workers": null}'}
SOME = LaterCommits(count=3, last=NOW, complete=True)


def _moved(**changes: Any) -> TrafficSituation:
    """After a switchover: the traffic is at the recovered Cluster, and the source is fenced."""
    record = a_record(a_recovered()).leaving(SOURCE_HOST, towards=RECOVERED_HOST).pointing_to(RECOVERED_HOST)
    good = a_traffic_situation(
        external_name=RECOVERED_HOST,
        old_cluster=RECOVERED,
        new_cluster=a_source(),
        record=record.with_fenced("postgres-prod", fenced=True),
    )
    return replace(good, **changes)


def _keys(decision: MoveDecision) -> list[str]:
    return [step.key for step in Move(decision).plan.steps]


def _undo(decision: MoveDecision, key: str) -> tuple[str, ...]:
    return next(step.undo() for step in Move(decision).plan.steps if step.key == key)


def _problems(situation: TrafficSituation, **request: Any) -> list[Problem]:
    with pytest.raises(RefusedError) as refused:
        a_move(situation, **request)
    assert all(problem.remedy for problem in refused.value.problems)
    return list(refused.value.problems)


def test_the_old_cluster_is_still_before_the_name_moves_and_the_writers_start_last() -> None:
    assert _keys(a_move()) == ALL


def test_a_switchover_goes_from_where_the_service_points_to_the_recovered_cluster() -> None:
    decision = a_move()
    assert (decision.before, decision.host) == (SOURCE_HOST, RECOVERED_HOST)
    assert decision.fence is not None
    assert decision.fence.name == "postgres-prod"
    assert Move(decision).plan.operation == "switchover"


def test_a_rollback_is_the_same_with_the_ends_swapped() -> None:
    decision = a_move(_moved(), back=True)
    assert _keys(decision) == BACK
    assert (decision.before, decision.host) == (RECOVERED_HOST, SOURCE_HOST)
    assert decision.fence is not None
    assert decision.fence.name == "postgres-prod-recovered"
    assert Move(decision).plan.operation == "rollback"


def test_a_rollback_before_a_switchover_fences_nothing_and_starts_the_workloads() -> None:
    decision = a_move(a_traffic_situation(new_cluster=a_source()), back=True)
    assert _keys(decision) == [key for key in BACK if key != "fence"]
    assert decision.fence is None
    assert decision.host == SOURCE_HOST


def test_a_switchover_that_is_repeated_after_the_service_moved_does_not_fence_where_it_went() -> None:
    decision = a_move(a_traffic_situation(external_name=RECOVERED_HOST, old_cluster=RECOVERED))
    assert decision.fence is None
    assert "fence" not in _keys(decision)


def test_without_a_url_there_is_no_smoke_test() -> None:
    assert _keys(a_move(environment=an_environment(smokeTestUrl=None))) == [key for key in ALL if key != "smoke-test"]


FAULTS: list[tuple[str, Mapping[str, Any], Mapping[str, Any], str]] = [
    ("service-missing", {"external_name": None}, {}, "data/prod-postgres"),
    ("service-not-external", {"external_name": ""}, {}, "data/prod-postgres"),
    ("workload-missing", {"workloads": {"api": a_workload("api"), "worker": None}}, {}, "prod/worker"),
    ("recovered-missing", {"new_cluster": None}, {}, "data/postgres-prod-recovered"),
    ("not-recovered-by-us", {"new_cluster": a_source()}, {"to": "postgres-prod"}, "postgres-prod"),
    ("recovered-not-healthy", {"new_cluster": UNHEALTHY}, {}, "Setting up primary"),
    ("recovered-not-healthy", {"new_cluster": replace(UNHEALTHY, phase="")}, {}, "just been made"),
    ("recovered-not-verified", {"record": a_record(a_recovered())}, {}, "postgres-prod-recovered"),
    ("nothing-to-go-back-to", {"new_cluster": None}, {"back": True}, "postgres-prod"),
    ("service-missing", {"external_name": None, "new_cluster": a_source()}, {"back": True}, "data/prod-postgres"),
]


@pytest.mark.parametrize(("code", "fault", "request_", "told"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_exactly_the_one_fault_is_found(
    code: str, fault: Mapping[str, Any], request_: Mapping[str, Any], told: str
) -> None:
    (problem,) = _problems(a_traffic_situation(**fault), **request_)
    assert problem.code == code
    assert told in problem.cause


def test_all_faults_are_told_at_once() -> None:
    situation = a_traffic_situation(external_name="", new_cluster=None, workloads={"api": None, "worker": None})
    assert [problem.code for problem in _problems(situation)] == [
        "service-not-external",
        "workload-missing",
        "workload-missing",
        "recovered-missing",
    ]


def test_a_recovered_cluster_that_a_rollback_fenced_may_be_moved_to_again() -> None:
    record = a_traffic_situation().record.with_fenced("postgres-prod-recovered", fenced=True)
    assert a_move(a_traffic_situation(new_cluster=UNHEALTHY, record=record)).host == RECOVERED_HOST


def test_the_way_back_asks_for_neither_health_nor_verification() -> None:
    fenced = replace(a_source(), ready=False, phase="Cluster has fenced instances")
    assert a_move(_moved(new_cluster=fenced, record=a_record()), back=True).host == SOURCE_HOST


def test_the_plan_shows_what_the_operator_has_to_recognise() -> None:
    facts = a_move(a_traffic_situation(commits_left_behind=SOME)).facts
    assert "context acme-prod" in facts["Environment"]
    assert facts["Service"] == "data/prod-postgres"
    assert (facts["From"], facts["To"]) == (SOURCE_HOST, RECOVERED_HOST)
    assert facts["Recovered to"] == "2026-04-27T09:55:00+00:00"
    assert "postgres-prod, fenced" in facts["Left"]
    assert "3 transactions" in facts["Left behind"]


def test_hibernating_the_old_cluster_is_shown_in_the_plan() -> None:
    decision = a_move(hibernate=True)
    assert "hibernated" in decision.facts["Left"]
    (step,) = [step for step in Move(decision).plan.steps if step.key == "fence"]
    assert step.detail().startswith("hibernate postgres-prod")


def test_where_nothing_is_left_nothing_is_left_behind() -> None:
    facts = a_move(a_traffic_situation(new_cluster=a_source(), commits_left_behind=SOME), back=True).facts
    assert "Left" not in facts
    assert "Left behind" not in facts


def test_a_switchover_whose_left_transactions_are_known_warns_of_nothing() -> None:
    assert a_move(a_traffic_situation(commits_left_behind=SOME)).warnings == ()


@pytest.mark.parametrize("back", [False, True])
def test_transactions_that_could_not_be_counted_are_warned_of(back: bool) -> None:
    situation = _moved() if back else a_traffic_situation()
    (warning,) = a_move(situation, back=back).warnings
    assert "could not be counted" in warning


def test_what_was_written_since_the_switchover_is_warned_of_before_going_back() -> None:
    (warning,) = a_move(_moved(commits_left_behind=SOME), back=True).warnings
    assert "does not come along" in warning
    assert "postgres-prod-recovered" in warning


def test_going_back_when_nothing_was_written_warns_of_nothing() -> None:
    nothing = LaterCommits(count=0, last=None, complete=True)
    assert a_move(_moved(commits_left_behind=nothing), back=True).warnings == ()


def test_a_deployment_of_argo_cd_is_warned_of_by_name() -> None:
    workloads = {"api": replace(a_workload("api"), argo_managed=True), "worker": a_workload("worker")}
    (warning,) = a_move(a_traffic_situation(commits_left_behind=SOME, workloads=workloads)).warnings
    assert "Argo CD" in warning
    assert "manages api and" in warning


def test_what_flux_manages_is_warned_of() -> None:
    """E29: Flux puts back the replicas and the Service."""
    labels = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    workloads = {"api": replace(a_workload("api"), labels=labels), "worker": a_workload("worker")}
    (warning,) = a_move(
        a_traffic_situation(commits_left_behind=SOME, workloads=workloads, service_labels=labels)
    ).warnings
    assert "Flux manages Deployment api, Service prod-postgres and" in warning
    assert "flux --context acme-prod -n flux-system suspend kustomization shop" in warning


def _manager(**automated: Any) -> Manager:
    raw = {"kind": "Application", "metadata": {"name": "shop", "namespace": "argocd"}}
    return Manager.from_object({**raw, "spec": {"syncPolicy": {"automated": automated}}})


def test_argo_cd_is_kept_away_before_anything_is_stopped_and_not_let_back_by_a_switchover() -> None:
    decision = a_move(a_traffic_situation(argocd=(_manager(selfHeal=True),)))
    assert _keys(decision) == [ALL[0], "pause-argocd", *ALL[1:]]


def test_a_rollback_gives_back_what_was_paused_once_the_workloads_run() -> None:
    keys = _keys(a_move(_moved(argocd=(_manager(enabled=False),)), back=True))
    assert keys == [*BACK[:-1], "release-argocd", BACK[-1]]


def _returns(decision: MoveDecision) -> dict[str, int]:
    return {workload.name: workload.return_to for workload in decision.workloads}


def test_running_workloads_return_to_the_counts_seen() -> None:
    workloads = {"api": a_workload("api", 3), "worker": a_workload("worker", 1)}
    record = a_traffic_situation().record.with_replicas({"api": 9, "worker": 9})
    assert _returns(a_move(a_traffic_situation(workloads=workloads, record=record))) == {"api": 3, "worker": 1}


def test_stopped_workloads_return_to_the_remembered_counts_or_else_to_the_configured() -> None:
    workloads = {"api": a_workload("api", 0), "worker": a_workload("worker", 0)}
    record = a_traffic_situation().record.with_replicas({"api": 5})
    assert _returns(a_move(a_traffic_situation(workloads=workloads, record=record))) == {"api": 5, "worker": 2}


def test_the_way_back_of_a_switchover_is_a_rollback() -> None:
    decision = a_move()
    for key in ("stop-writers", "fence", "switch"):
        assert _undo(decision, key) == ("python -m dr rollback --env prod",)


def test_the_way_back_of_a_rollback_is_a_switchover_to_what_it_leaves() -> None:
    decision = a_move(_moved(), back=True)
    for key in ("stop-writers", "fence", "switch"):
        assert _undo(decision, key) == ("python -m dr switchover --env prod --recovered-name postgres-prod-recovered",)


def test_a_rollback_that_leaves_nothing_has_no_way_back() -> None:
    assert _undo(a_move(a_traffic_situation(new_cluster=a_source()), back=True), "switch") == ()


def _some(count: int, *, complete: bool = True) -> LaterCommits:
    return LaterCommits(count=count, last=NOW if count else None, complete=complete)


NONE = _some(0)


@pytest.mark.parametrize(
    ("planned", "announced", "now"),
    [
        (SOME, SOME, SOME),
        (SOME, SOME, NONE),
        (_some(3, complete=False), _some(3, complete=False), _some(2, complete=False)),
        (None, None, None),
        (None, None, NONE),
        (SOME, None, NONE),
    ],
)
def test_what_was_announced_may_stay_behind(
    planned: LaterCommits | None, announced: LaterCommits | None, now: LaterCommits | None
) -> None:
    """E8: that nothing could be counted was agreed to in words."""
    check_left_behind(a_move(a_traffic_situation(commits_left_behind=planned)), now, announced=announced, go_on="again")


@pytest.mark.parametrize(
    ("planned", "announced", "now", "code", "said"),
    [
        (SOME, SOME, _some(4), "more-left-behind", "4 transactions"),
        (NONE, NONE, _some(1), "more-left-behind", "no transaction had been announced"),
        (None, None, _some(1), "more-left-behind", "no final number had been announced"),
        (SOME, None, SOME, "more-left-behind", "no final number had been announced"),
        (SOME, SOME, None, "left-behind-unknown", "3 transactions"),
        (SOME, SOME, _some(3, complete=False), "left-behind-unknown", "at least 3 transactions"),
    ],
)
def test_what_was_not_announced_stops_the_move_with_the_way_on_and_the_way_back(
    planned: LaterCommits | None, announced: LaterCommits | None, now: LaterCommits | None, code: str, said: str
) -> None:
    """E8: in numbers, before another agreement; users wait meanwhile."""
    decision = a_move(a_traffic_situation(commits_left_behind=planned))
    with pytest.raises(VerificationError) as stopped:
        check_left_behind(decision, now, announced=announced, go_on="python -m dr switchover --env prod")
    assert stopped.value.code == code
    assert said in stopped.value.cause
    assert "python -m dr switchover --env prod (" in stopped.value.remedy
    assert stopped.value.remedy.endswith("python -m dr rollback --env prod")


def test_there_is_one_way_back() -> None:
    """O5. With the rollback stood `kubectl scale --replicas=0` of both writers: who did all of it had an outage."""
    again = "python -m dr switchover --env prod --recovered-name postgres-prod-recovered"
    for move, way in ((a_move(), "python -m dr rollback --env prod"), (a_move(_moved(), back=True), again)):
        assert {command for step in Move(move).plan.steps for command in step.undo()} == {way}


@pytest.mark.parametrize(
    ("request_", "command"),
    [
        (MoveRequest(to="postgres-prod-recovered"), "switchover --env prod"),
        (MoveRequest(to="other"), "switchover --env prod --recovered-name other"),
        (MoveRequest(to="other", hibernate=True), "switchover --env prod --recovered-name other --hibernate-old"),
        (MoveRequest(back=True, hibernate=True), "rollback --env prod --hibernate-old"),
    ],
)
def test_the_command_asks_for_the_same_and_leaves_out_the_default(request_: MoveRequest, command: str) -> None:
    assert request_.command(an_environment()) == f"python -m dr {command}"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (SOURCE_HOST, "postgres-prod"),
        (f"{SOURCE_HOST}.", "postgres-prod"),
        ("postgres-prod-rw.data.svc", "postgres-prod"),
        ("postgres-prod-rw.data", "postgres-prod"),
        ("postgres-prod-rw.other.svc.cluster.local", ""),
        ("postgres-prod-r.data.svc.cluster.local", ""),
        ("postgres-prod-rw", ""),
        ("db.acme.test", ""),
        ("", ""),
    ],
)
def test_the_cluster_behind_a_host_is_known_by_its_read_write_service(host: str, name: str) -> None:
    assert cluster_behind(host, "data") == name


def test_a_cluster_is_found_behind_the_host_that_it_is_given() -> None:
    cluster: ClusterSnapshot = RECOVERED
    assert cluster_behind(read_write_host(cluster), cluster.namespace) == cluster.name


def test_the_services_names_end_with_the_one_that_needs_no_search_list() -> None:
    assert an_environment().service_hosts[0] == "prod-postgres"
    assert an_environment().service_hosts[-1] == "prod-postgres.data.svc.cluster.local"


def test_a_service_that_leads_elsewhere_leaves_nobody_fenced_and_that_is_said() -> None:
    # GIVEN a Service that points to something that is no Cluster of this namespace, such as a pooler or an IP's name
    situation = a_traffic_situation(external_name="db.acme.test", old_cluster=None, commits_left_behind=None)
    # THEN the operator is told that the old database is not kept from writing
    assert any("db.acme.test" in warning for warning in a_move(situation).warnings)


def test_who_else_is_connected_to_the_cluster_that_is_left_is_named() -> None:
    """E7: no step but the fence stops them."""
    decision = a_move(a_traffic_situation(clients=(A_CLIENT,), commits_left_behind=SOME))
    assert any("keeper from 10.1.2.3" in warning and "postgres-prod" in warning for warning in decision.warnings)
    assert not any("Also connected" in warning for warning in a_move().warnings)


def test_what_the_recovered_one_came_from_is_fenced_also_where_the_service_was_moved_by_other_hands() -> None:
    """E9."""
    decision = a_move(
        a_traffic_situation(external_name=RECOVERED_HOST, old_cluster=a_source(), commits_left_behind=SOME)
    )
    assert decision.fence is not None
    assert decision.fence.name == "postgres-prod"
    assert "fence" in _keys(decision)
    assert decision.facts["Left behind"].startswith("3 transactions")
    assert any("points to postgres-prod-recovered already" in warning for warning in decision.warnings)


def test_what_the_recovered_one_came_from_is_fenced_also_where_the_service_leads_to_no_cluster() -> None:
    """E9: to a page that says so, or to a Pooler."""
    decision = a_move(
        a_traffic_situation(external_name="pool.data.svc", old_cluster=a_source(), commits_left_behind=SOME)
    )
    assert decision.fence is not None
    assert decision.fence.name == "postgres-prod"
    (said,) = [warning for warning in decision.warnings if "The Service points to pool.data.svc, " in warning]
    assert "postgres-prod, which postgres-prod-recovered was recovered from" in said


def test_a_cluster_that_was_kept_quiet_acts_from_the_switchover_on() -> None:
    """E11: after the other one is still, and before traffic comes."""
    quiet = replace(RECOVERED, annotations={**RECOVERED.annotations, **QUIETED})
    decision = a_move(a_traffic_situation(new_cluster=quiet))
    keys = _keys(decision)
    assert keys[keys.index("unfence") : keys.index("switch") + 1] == ["unfence", "wake", "switch"]
    assert "wake" not in _keys(a_move())


@pytest.mark.parametrize(
    ("changes", "still"),
    [
        ({}, True),
        ({"clients": (A_CLIENT,)}, False),
        ({"clients": None}, False),
        ({"clients": None, "silent": True}, True),
        ({"workloads": {"api": a_workload("api", 0), "worker": a_workload("worker", 1)}}, False),
    ],
)
def test_what_stays_behind_may_grow_unless_nobody_is_seen_who_writes(changes: Mapping[str, Any], still: bool) -> None:
    """E8: who could not be asked about may write, unless the Cluster is silent."""
    stopped = {name: a_workload(name, 0) for name in ("api", "worker")}
    assert a_move(a_traffic_situation(**{"workloads": stopped, **changes})).still is still
