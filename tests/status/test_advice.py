"""Where an environment stands, and what it advises."""

import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from dr.archive.promise import Promise
from dr.cnpg.cluster import TARGET_ANNOTATION
from dr.cnpg.recovered import RecoveredCluster
from dr.core.history import Outcome
from dr.core.target import LATEST
from dr.run.record import Record
from dr.status.advice import Status
from dr.status.view import show_status
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_lease,
    a_move,
    a_record,
    a_recovered,
    a_source,
    a_traffic_situation,
    a_workload,
    an_entry,
    an_environment,
    as_seen,
)

RECOVERED = as_seen(a_recovered())
VERIFIED = a_record(a_recovered()).with_verified(RECOVERED.name, 700)
MOVED = VERIFIED.leaving(SOURCE_HOST, towards=RECOVERED_HOST).pointing_to(RECOVERED_HOST)
BACK = "python -m dr rollback --env prod"


def _status(**changes: Any) -> Status:
    """Nothing was ever done to the environment."""
    plain = Status(
        environment=an_environment(),
        clusters=(a_source(),),
        external_name=SOURCE_HOST,
        workloads={"api": a_workload("api", 3), "worker": None},
        record=None,
        lease=None,
        holder_dead=False,
    )
    return replace(plain, **changes)


def _commands(**changes: Any) -> list[str]:
    return [advice.command for advice in _status(**changes).advice]


def test_at_first_a_recovery_is_advised() -> None:
    assert _commands() == ["python -m dr pitr --env prod --target-time TIME", "python -m dr latest --env prod"]


def test_after_a_recovery_the_switchover_comes_first_and_the_way_back_next() -> None:
    found = _commands(clusters=(a_source(), RECOVERED), record=VERIFIED)
    assert found == ["python -m dr switchover --env prod", BACK]


def test_a_switchover_to_another_name_is_advised_with_it() -> None:
    other = as_seen(a_recovered("other"))
    record = a_record(a_recovered("other")).with_verified("other", 7)
    assert _commands(clusters=(a_source(), other), record=record)[0] == (
        "python -m dr switchover --env prod --recovered-name other"
    )


@pytest.mark.parametrize(
    ("cluster", "record"),
    [(RECOVERED, a_record(a_recovered())), (as_seen(a_recovered(), healthy=False), VERIFIED)],
    ids=["not verified", "not healthy"],
)
def test_what_a_switchover_would_refuse_is_not_advised(cluster: Any, record: Record) -> None:
    assert not any("switchover" in command for command in _commands(clusters=(a_source(), cluster), record=record))


def test_after_a_switchover_the_way_back_is_advised_and_then_the_end() -> None:
    moved = {"clusters": (a_source(), RECOVERED), "external_name": RECOVERED_HOST, "record": MOVED}
    assert _commands(**moved) == [BACK, "python -m dr finalize --env prod"]


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED])
def test_an_operation_that_is_not_done_is_gone_on_with_first(outcome: Outcome) -> None:
    entry = an_entry().step_started("remember", NOW).step_done("x", NOW).step_started("fence", NOW).over(outcome, NOW)
    status = _status(clusters=(a_source(), RECOVERED), record=VERIFIED.with_operation(entry))
    go_on, back = status.advice
    assert (go_on.command, back.command) == ("python -m dr resume --env prod", BACK)
    assert go_on.why == "to continue the switchover after remember"


def test_an_operation_that_did_no_step_is_gone_on_with_too() -> None:
    (go_on, _) = _status(record=a_record().with_operation(an_entry("pitr"))).advice
    assert go_on.why == "to continue the pitr"


def test_an_operation_that_is_done_is_not_gone_on_with() -> None:
    record = VERIFIED.with_operation(an_entry("pitr").over(Outcome.DONE, NOW))
    assert not any("resume" in command for command in _commands(record=record))


@pytest.mark.parametrize(
    ("lease", "dead", "told"),
    [(None, False, ""), (a_lease(), False, "bob@ops-2:8"), (a_lease(), True, ""), (a_lease(""), False, "")],
)
def test_who_is_at_work_is_told_unless_known_dead(lease: Any, dead: bool, told: str) -> None:
    assert _status(lease=lease, holder_dead=dead).at_work == told


@pytest.mark.parametrize(
    ("host", "serving"), [(SOURCE_HOST, "postgres-prod"), (RECOVERED_HOST, RECOVERED.name), ("db.test", ""), (None, "")]
)
def test_the_cluster_that_serves_is_the_one_behind_the_service(host: str | None, serving: str) -> None:
    assert _status(external_name=host).serving == serving


def test_the_json_is_plain_and_complete() -> None:
    entry = an_entry().step_started("fence", NOW).over(Outcome.FAILED, NOW, "why")
    record = MOVED.with_fenced("postgres-prod", fenced=True).with_replicas({"api": 3}).with_operation(entry)
    status = _status(clusters=(a_source(), RECOVERED), external_name=RECOVERED_HOST, record=record, lease=a_lease())
    told = json.loads(json.dumps(status.as_json()))
    assert told["environment"] == "prod"
    assert told["service"] == {"name": "prod-postgres", "externalName": RECOVERED_HOST, "declared": RECOVERED_HOST}
    source, recovered = told["clusters"]
    assert (source["serves"], source["fenced"], source["verified"], source["recoveredTo"]) == (False, True, False, None)
    assert recovered == {
        "name": "postgres-prod-recovered",
        "phase": "Cluster in healthy state",
        "healthy": True,
        "archiving": True,
        "serves": True,
        "recoveredTo": "2026-04-27T09:55:00+00:00",
        "verified": True,
        "compared": True,
        "fenced": False,
    }
    assert told["workloads"] == {"api": 3, "worker": None}
    assert told["remembered"] == {"api": 3}
    assert told["atWork"] == "bob@ops-2:8"
    assert [(one["operation"], one["outcome"], one["cause"]) for one in told["operations"]] == [
        ("switchover", "failed", "why")
    ]
    assert [one["command"] for one in told["next"]] == ["python -m dr status --env prod"]


def test_without_a_record_the_json_has_the_same_keys() -> None:
    told = _status().as_json()
    assert told.keys() == _status(record=MOVED).as_json().keys()
    assert (told["service"]["declared"], told["remembered"], told["operations"]) == (None, {}, [])


def test_after_a_rollback_the_fenced_cluster_can_be_moved_to_again() -> None:
    # GIVEN a recovered Cluster that was verified, and that a rollback has fenced
    fenced = as_seen(a_recovered(), healthy=False)
    record = VERIFIED.with_fenced(fenced.name, fenced=True)
    # THEN the switchover, which takes it, is advised
    assert "python -m dr switchover --env prod" in _commands(clusters=(a_source(), fenced), record=record)


def test_while_someone_is_at_work_going_on_is_not_advised() -> None:
    record = VERIFIED.with_operation(an_entry().step_started("fence", NOW))
    assert "python -m dr resume --env prod" not in _commands(record=record, lease=a_lease())


def test_what_the_file_asks_for_and_is_not_applied_yet_is_offered_to_be_looked_at() -> None:
    environment = an_environment(recovery={"targetTime": "2026-04-27T09:55:00Z"})
    status = _status(environment=environment)
    assert [advice.command for advice in status.advice] == ["python -m dr preview --env prod"]
    assert status.as_json()["asked"].endswith("not applied yet")


def test_what_was_recovered_by_hand_is_offered_to_be_verified() -> None:
    changes = {"clusters": (a_source(), as_seen(a_recovered())), "record": a_record(a_recovered())}
    assert _commands(**changes) == ["python -m dr pitr --env prod --target-time 2026-04-27T09:55:00+00:00 --continue"]


def _latest(promise: Promise | None) -> Record:
    """A recovery to the end of the WAL that was verified."""
    manifest = deepcopy(dict(a_recovered().manifest))
    manifest["metadata"]["annotations"][TARGET_ANNOTATION] = LATEST
    record = a_record(RecoveredCluster(manifest=manifest, limit=a_recovered().limit))
    return record.with_promise(a_recovered().name, promise).with_verified(a_recovered().name, 7)


@pytest.mark.parametrize(
    ("promise", "compared"), [(None, False), (Promise(timeline=1, lsn=7, segment_size=2**24, why="the end"), True)]
)
def test_a_recovery_whose_end_was_not_compared_is_not_called_verified(
    capsys: pytest.CaptureFixture[str], promise: Promise | None, compared: bool
) -> None:
    """E1: nor does a switchover to it keep silent about it."""
    record = _latest(promise)
    status = _status(clusters=(a_source(), RECOVERED), record=record)
    assert status.as_json()["clusters"][1]["compared"] is compared
    show_status(status)
    said = " ".join(capsys.readouterr().out.split())
    assert ("verified" in said, "not compared" in said) == (compared, not compared)
    warnings = a_move(a_traffic_situation(record=record)).warnings
    assert any("was not compared" in warning for warning in warnings) is not compared


def test_a_target_that_was_reached_needs_nothing_else_to_compare_with() -> None:
    assert a_record(a_recovered()).is_compared("postgres-prod-recovered")
