"""Clocks that do not agree are reported, and in which direction."""

from datetime import timedelta

import pytest

from dr.core.target_options import skew_warning
from tests.support.builders import a_decision, a_situation


@pytest.mark.parametrize("seconds", [0, 30, -30, 0.4])
def test_clocks_that_agree_well_enough_are_not_mentioned(seconds: float) -> None:
    assert list(skew_warning(timedelta(seconds=seconds))) == []
    assert list(skew_warning(None)) == []


@pytest.mark.parametrize(("seconds", "said"), [(31, "31 s ahead of"), (-4000, "4,000 s behind")])
def test_a_skew_is_in_the_plan_with_its_direction(seconds: float, said: str) -> None:
    decision = a_decision(a_situation(clock_ahead=timedelta(seconds=seconds)))
    (warning,) = (one for one in decision.warnings if "clock" in one)
    assert f"The database's clock is {said} this machine's" in warning
