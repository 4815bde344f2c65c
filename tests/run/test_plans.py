"""What is asked of the plans of all operations, and of their reports: their JSON does not change unseen."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from dr.core.plan import Phase, Plan
from dr.drill.plan import DrillDecision
from dr.drill.run import Drill
from dr.extract.plan import ExtractDecision
from dr.extract.run import Extract
from dr.finalize.plan import FinalizeDecision
from dr.finalize.run import Finalize
from dr.rebuild.run import Rebuild
from dr.recovery.plan import RecoveryDecision
from dr.recovery.run import Recovery
from dr.reports.phases import _STEPS
from dr.switchover.plan import MoveDecision
from dr.switchover.run import Move
from tests.support.plans import decisions, reports

KEPT = Path(__file__).with_name("plans.json")
"""Each plan as it is published, the phases of its steps, and a report of each operation."""


def plan_of(decision: Any) -> Plan:
    if isinstance(decision, MoveDecision):
        return Move(decision).plan
    if isinstance(decision, RecoveryDecision):
        return Recovery(decision).plan
    if isinstance(decision, FinalizeDecision):
        return Finalize(decision).plan
    if isinstance(decision, ExtractDecision):
        return Extract(decision).plan
    if isinstance(decision, DrillDecision):
        return Drill(decision).plan
    return Rebuild(decision).plan


def _now() -> str:
    plans = {name: plan_of(decision) for name, decision in decisions()}
    found = {
        "plans": {name: plan.as_json() for name, plan in plans.items()},
        "phases": {
            name: {step.key: _STEPS.get(step.key, Phase.OTHER) for step in plan.steps} for name, plan in plans.items()
        },
        "reports": {name: report.as_json() for name, report in reports()},
    }
    return json.dumps(found, indent=1) + "\n"


def test_plans_and_reports_are_those_that_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")  # a target is shown in the operator's zone, too
    time.tzset()
    if not KEPT.exists():
        KEPT.write_text(_now())
        pytest.fail(f"{KEPT.name} was missing and is written; look at it before it is committed")
    assert _now() == KEPT.read_text()
