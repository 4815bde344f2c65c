"""What every plan has in common."""

import pytest

from dr.core.plan import Plan
from dr.finalize.plan import decide_finalization
from dr.finalize.preconditions import FinalizeRequest
from dr.finalize.run import Finalize
from dr.recovery.run import Recovery
from dr.switchover.run import Move
from tests.support.builders import a_decision, a_finalize_situation, a_move, an_environment

PLANS = [
    Recovery(a_decision()).plan,
    Recovery(a_decision(target=None)).plan,
    Move(a_move()).plan,
    Move(a_move(back=True)).plan,
    Finalize(decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation(own_backup=""))).plan,
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.operation)
def test_every_step_says_what_it_does_and_how_it_is_known_to_be_done(plan: Plan) -> None:
    assert plan.steps
    for step in plan.as_json()["steps"]:
        assert all(step[key] for key in ("title", "detail", "doneWhen")), step


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.operation)
def test_no_two_steps_have_the_same_key(plan: Plan) -> None:
    keys = [step.key for step in plan.steps]
    assert len(keys) == len(set(keys))
