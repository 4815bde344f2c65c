"""Health of the Cluster, and of what stands around it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr.core.history import Outcome
from dr.gitops.argocd import Manager
from dr.health.check import State, Unavailable
from dr.health.snapshot import Replica
from tests.support.builders import NOW, a_record, a_source, an_entry
from tests.support.health_fixtures import SEEN_AT, UNSEEN, a_database, a_serving, a_volume, checks


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("api-unreachable", State.CRITICAL),
        ("cnpg-missing", State.CRITICAL),
        ("serving-cluster-missing", State.CRITICAL),
        ("token-expired", State.UNKNOWN),
        ("no-answer", State.UNKNOWN),
    ],
)
def test_a_cluster_that_is_gone_is_critical_and_one_that_is_closed_unknown(code: str, state: State) -> None:
    found = checks(serving=Unavailable(code=code, why="why", remedy="what helps"))
    assert (found["cluster"].state, found["cluster"].remedy) == (state, "what helps")
    assert found["archiving"].state is State.UNKNOWN
    # AND the bucket is judged all the same
    assert found["base-backup"].state is State.OK


def test_a_service_that_leads_nowhere_is_critical() -> None:
    lost = checks(serving=a_serving(serves=False, external_name="db.elsewhere.test"))["cluster"]
    assert (lost.state, "points to db.elsewhere.test" in lost.message) == (State.CRITICAL, True)
    gone = checks(serving=a_serving(serves=False, external_name=None))["cluster"]
    assert "is not there, or of another type" in gone.message


def test_an_unhealthy_cluster_is_worse_without_any_instance() -> None:
    failing_over = replace(a_source(), phase="Failing over", ready=False)
    assert checks(serving=a_serving(failing_over))["cluster"].state is State.WARNING
    assert checks(serving=a_serving(failing_over, ready_instances=0))["cluster"].state is State.CRITICAL


def _three(*states: str, lag: float = 1, ready: int = 3) -> dict[str, Any]:
    standbys = tuple(
        Replica(name=f"postgres-prod-{number}", state=state, lag=timedelta(seconds=lag))
        for number, state in enumerate(states, start=2)
    )
    serving = a_serving(instances=3, ready_instances=ready)
    return {"serving": serving, "database": a_database(replicas=standbys)}


def test_replicas_are_counted_and_timed() -> None:
    good = checks(**_three("streaming", "streaming"))["replication"]
    assert (good.state, good.values) == (State.OK, {"replication_lag_seconds": 1})
    assert checks(**_three("streaming", "catchup"))["replication"].state is State.WARNING
    assert checks(**_three("streaming", ready=2))["replication"].state is State.WARNING
    assert checks(**_three("streaming", "streaming", lag=700))["replication"].state is State.CRITICAL


def test_one_instance_wants_no_replica_but_wants_itself() -> None:
    assert checks()["replication"].state is State.OK
    assert checks(serving=a_serving(ready_instances=0))["replication"].state is State.CRITICAL
    unasked = {**_three("streaming", "streaming"), "database": UNSEEN}
    assert checks(**unasked)["replication"].state is State.UNKNOWN


@pytest.mark.parametrize(("used", "state"), [(79, State.OK), (85, State.WARNING), (95, State.CRITICAL)])
def test_a_volume_fills(used: int, state: State) -> None:
    found = checks(volumes=(a_volume(), a_volume(used, 100 - used, pod="postgres-prod-2")))["volumes"]
    assert (found.state, found.values) == (state, {"volume_used_ratio": used / 100})
    assert "postgres-prod-2" in found.message


def test_a_claim_that_the_file_system_does_not_know_fills_too() -> None:
    """On a shared file system there is room for long, and yet the claim is spent."""
    claimed = 2**30 + 100 * 2**20
    assert checks(volumes=(a_volume(1, 99, claimed=claimed),))["volumes"].state is State.CRITICAL
    separate = a_source(walStorage={"size": "1Gi"})
    both = (a_volume(1, 99, claimed=2 * 2**30), a_volume(1, 99, path="/var/lib/postgresql/wal", claimed=180 * 2**20))
    found = checks(volumes=both, serving=a_serving(separate))["volumes"]
    assert (found.state, "/var/lib/postgresql/wal" in found.message) == (State.WARNING, True)


@pytest.mark.parametrize(("skew", "state"), [(-2, State.OK), (-10, State.WARNING), (90, State.CRITICAL)])
def test_clocks_that_disagree_are_told(skew: float, state: State) -> None:
    found = checks(database=a_database(asked_at=SEEN_AT - timedelta(seconds=skew)))["clock"]
    assert (found.state, found.values) == (state, {"clock_skew_seconds": skew})
    assert ("behind" in found.message) is (skew < 0)


def test_an_operation_that_was_left_is_told() -> None:
    left = a_record().with_operation(an_entry().over(Outcome.FAILED, NOW, "still serving"))
    found = checks(record=left)["operation"]
    assert (found.state, "switchover by ann@ops-1" in found.message) == (State.WARNING, True)
    done = a_record().with_operation(an_entry().over(Outcome.DONE, NOW))
    assert checks(record=done)["operation"].state is State.OK
    assert checks(record=UNSEEN)["operation"].state is State.UNKNOWN


def test_a_scratch_cluster_that_was_left_is_told() -> None:
    scratch = replace(a_source(), name="postgres-prod-drill-x", created=SEEN_AT - timedelta(hours=8))
    found = checks(scratches=(scratch,))["leftovers"]
    assert (found.state, "postgres-prod-drill-x was left 8 h ago" in found.message) == (State.WARNING, True)
    at_work = replace(scratch, created=SEEN_AT - timedelta(hours=1))
    assert checks(scratches=(at_work,))["leftovers"].state is State.OK
    assert checks(scratches=UNSEEN)["leftovers"].state is State.UNKNOWN


def _application(**changes: Any) -> Manager:
    good = Manager(
        kind="Application",
        namespace="argocd",
        name="prod-postgres",
        policy={"automated": {"selfHeal": True}},
        owner=None,
        manages=frozenset(),
        syncing=False,
        refreshing=False,
        out_of_sync=(),
    )
    return replace(good, **changes)


def test_drift_from_git_is_told() -> None:
    assert checks(argocd=(_application(),))["argocd"].state is State.OK
    differs = checks(argocd=(_application(), _application(out_of_sync=("Cluster data/postgres-prod",))))["argocd"]
    assert (differs.state, "differs from Git: Cluster data/postgres-prod" in differs.message) == (State.WARNING, True)
    unhealthy = checks(argocd=(_application(at_rest=False),))["argocd"]
    assert (unhealthy.state, "not in sync and healthy" in unhealthy.message) == (State.WARNING, True)


def test_a_pause_that_was_left_is_told_with_whose_it_is() -> None:
    paused = _application(policy={})
    assert "by somebody" in checks(argocd=(paused,))["argocd"].message
    ours = a_record().with_paused({str(paused): {}})
    assert "by an operation of this tool" in checks(argocd=(paused,), record=ours)["argocd"].message


def test_what_was_not_seen_is_unknown() -> None:
    blind = checks(database=UNSEEN, volumes=UNSEEN, argocd=UNSEEN)
    for name in ("volumes", "clock", "argocd"):
        assert blind[name].state is State.UNKNOWN
    assert checks(volumes=())["volumes"].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["replication"].state is State.UNKNOWN
