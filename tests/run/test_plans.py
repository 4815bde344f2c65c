"""What is asked of the plans of all operations, and of their reports."""

import json
import time
from pathlib import Path

import pytest

from dr.core.plan import Plan, Step
from tests.support.plans import decisions, operation_of, reports

KEPT = Path(__file__).with_name("plans.json")
"""Each plan as it is published, the phases of its steps, and a report of each operation."""
PLANS = {name: operation_of(decision).plan for name, decision in decisions()}


def _now() -> str:
    found = {
        "plans": {name: operation_of(decision).plan.as_json() for name, decision in decisions()},
        "phases": {name: {step.key: step.phase for step in plan.steps} for name, plan in PLANS.items()},
        "reports": {name: report.as_json() for name, report in reports()},
    }
    return json.dumps(found, indent=1) + "\n"


def test_plans_and_reports_are_those_that_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their JSON is published: it does not change unseen."""
    monkeypatch.setenv("TZ", "UTC")  # a target is shown in the operator's zone, too
    time.tzset()
    if not KEPT.exists():
        KEPT.write_text(_now())
        pytest.fail(f"{KEPT.name} was missing and is written; look at it before it is committed")
    assert _now() == KEPT.read_text()


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_every_step_says_what_it_does_and_how_it_is_known_to_be_done(plan: Plan) -> None:
    assert plan.steps
    for step in plan.as_json()["steps"]:
        assert all(step[key] for key in ("key", "title", "detail", "doneWhen")), step


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_no_two_steps_have_the_same_key(plan: Plan) -> None:
    keys = [step.key for step in plan.steps]
    assert len(keys) == len(set(keys))


def test_a_step_without_a_phase_cannot_be_made() -> None:
    class Forgetful(Step):
        key, title, done_when = "forgetful", "Forgetful", "it is done"

        def detail(self) -> str:
            return "has no phase"

        def run(self) -> str:
            return ""

    with pytest.raises(TypeError, match="phase"):
        Forgetful()  # type: ignore[abstract]
