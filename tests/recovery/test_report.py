"""The report: what is printed has to be right when it is pasted."""

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest

from dr.drill.view import show_drill
from dr.recovery.report import RecoveryReport
from dr.recovery.situation import Situation
from dr.recovery.view import show_report
from dr.reports.document import FindingLine
from dr.switchover.report import MoveReport
from tests.support.builders import (
    NOW,
    RECOVERED_HOST,
    SOURCE_HOST,
    a_decision,
    a_move,
    a_record,
    a_situation,
    a_source,
    a_traffic_situation,
    a_workload,
    an_environment,
)
from tests.support.plans import reports


def _report(situation: Situation | None = None, **environment: object) -> RecoveryReport:
    return RecoveryReport(
        decision=a_decision(situation),
        environment=an_environment(**environment),
        started=NOW,
        seconds=41.234,
        cluster_seconds=35.5,
        steps=(("recover", 35.5, "healthy"),),
        findings=(("users", "100000", True), ("PostGIS", "3.5", None)),
        journal="/state/journal/prod.jsonl",
    )


def test_every_command_can_be_pasted_into_a_shell() -> None:
    split = [shlex.split(command) for command in _report().by_hand]
    assert all(parts[:3] == ["kubectl", "--context", "acme-prod"] for parts in split[:-1])
    assert split[-1] == ["curl", "-fsS", "--retry", "10", "--retry-all-errors", "https://api.acme.test/health"]


def test_a_context_with_a_space_is_quoted() -> None:
    commands = _report(kubernetes={"context": "acme prod; true"}).by_hand
    assert shlex.split(commands[0])[2] == "acme prod; true"


def test_the_first_command_points_the_service_at_the_recovered_cluster() -> None:
    parts = shlex.split(_report().by_hand[0])
    assert parts[3:8] == ["-n", "data", "patch", "service", "prod-postgres"]
    assert json.loads(parts[parts.index("-p") + 1]) == {
        "spec": {"externalName": "postgres-prod-recovered-rw.data.svc.cluster.local"}
    }


def test_then_the_writers_are_started_and_awaited() -> None:
    commands = _report().by_hand[1:-1]
    assert [shlex.split(command)[5] for command in commands] == ["scale", "scale", "rollout", "rollout"]
    assert all("--replicas=3" in command for command in commands[:2])


def test_the_writers_are_started_with_the_counts_of_before_the_first_run() -> None:
    stopped = {"api": a_workload("api", 0), "worker": a_workload("worker", 0)}
    situation = a_situation(workloads=stopped, record=a_record(replicas={"api": 5, "worker": 7}))
    scales = [command for command in _report(situation).by_hand if " scale " in command]
    assert [command.rsplit("=", 1)[1] for command in scales] == ["5", "7"]


def test_without_a_url_there_is_no_smoke_test() -> None:
    assert not any(command.startswith("curl") for command in _report(smokeTestUrl=None).by_hand)


def test_the_old_cluster_is_deleted_only_later() -> None:
    report = _report()
    assert not any("delete" in command for command in report.by_hand)
    assert report.later == ["python -m dr finalize --env prod"]


def test_the_json_is_plain_and_complete() -> None:
    told = json.loads(json.dumps(_report().as_json()))
    assert told["result"] == "recovered"
    assert told["target"] == "2026-04-27T09:55:00+00:00"
    assert told["seconds"] == 41.23
    assert told["serverName"] == "postgres-prod-recovered"
    assert told["verification"][1] == {"name": "PostGIS", "value": "3.5", "passed": None}
    assert told["steps"] == [{"key": "recover", "seconds": 35.5, "fact": "healthy"}]
    assert told["byHand"] == _report().by_hand


def test_next_is_the_switchover_to_just_this_cluster() -> None:
    assert _report().next_commands == ["python -m dr switchover --env prod"]
    other = replace(_report(), decision=a_decision(recovered_name="other"))
    assert other.next_commands == ["python -m dr switchover --env prod --recovered-name other"]


def _move_report(**request: Any) -> MoveReport:
    situation = a_traffic_situation(new_cluster=a_source()) if request.get("back") else None
    return MoveReport(
        decision=a_move(situation, **request),
        environment=an_environment(),
        started=NOW,
        seconds=12.346,
        steps=(("switch", 3.456, "it points there"),),
        smoke="200 fine",
        journal="/state/journal/prod.jsonl",
    )


def test_the_json_of_a_switchover_is_plain_and_complete() -> None:
    assert json.loads(json.dumps(_move_report().as_json())) == {
        "operation": "switchover",
        "environment": "prod",
        "result": "moved",
        "cluster": "postgres-prod-recovered",
        "externalName": RECOVERED_HOST,
        "before": SOURCE_HOST,
        "fenced": "postgres-prod",
        "started": NOW.isoformat(),
        "seconds": 12.35,
        "steps": [{"key": "switch", "seconds": 3.46, "fact": "it points there"}],
        "smokeTest": "200 fine",
        "next": ["python -m dr rollback --env prod"],
        "journal": "/state/journal/prod.jsonl",
    }


def test_after_a_rollback_that_left_nothing_nothing_is_fenced_and_nothing_comes_next() -> None:
    told = _move_report(back=True).as_json()
    assert (told["operation"], told["fenced"], told["next"]) == ("rollback", None, [])


NOT_COMPARED = ("end of the WAL", "not compared: LSN 0/5000000, and how far it had to reach is not known", None)


@pytest.mark.parametrize(
    ("finding", "result", "headline"),
    [
        (NOT_COMPARED, "recovered, not compared", "Recovered, not compared:"),
        (("end of the WAL", "LSN 0/5000000, as far as it had to", True), "recovered", "Recovered postgres"),
    ],
)
def test_an_end_that_could_not_be_compared_is_an_answer_of_its_own(
    capsys: pytest.CaptureFixture[str], finding: tuple[str, str, bool | None], result: str, headline: str
) -> None:
    """E1: and none that is verified."""
    report = replace(_report(), findings=(*_report().findings, finding))
    assert report.as_json()["result"] == result
    show_report(report)
    assert headline in capsys.readouterr().out


def test_a_drill_whose_end_could_not_be_compared_has_not_passed(capsys: pytest.CaptureFixture[str]) -> None:
    """E1."""
    drill = dict(reports())["drill"]
    name, value, passed = NOT_COMPARED
    for findings, result, headline in (
        (drill.findings, "passed", "Passed"),
        ((*drill.findings, FindingLine(name=name, value=value, passed=passed)), "not compared", "Not compared:"),
    ):
        report = replace(drill, findings=findings)
        assert report.as_json()["result"] == result
        show_drill(report)
        assert headline in capsys.readouterr().out
