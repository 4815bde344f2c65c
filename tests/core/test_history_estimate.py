"""How long an operation will take."""

from datetime import timedelta

from dr.core.history import UNCHANGED, OperationEntry, estimate
from tests.support.builders import NOW, an_entry

STEPS = ("durable", "platform", "recover")
EXPERIENCE = {"durable": 30.0, "platform": 720.0, "recover": 300.0}


def _run(**seconds: float) -> OperationEntry:
    """An operation whose steps took so long; 0 stands for one that found nothing to do, in a second."""
    entry, at = an_entry(), NOW
    for key, took in seconds.items():
        entry = entry.step_started(key, at)
        at += timedelta(seconds=took or 1)
        entry = entry.step_done("made" if took else f"{UNCHANGED}: it is there", at)
    return entry


def test_before_a_first_run_experience_says_it() -> None:
    found = estimate(STEPS, (), experience=EXPERIENCE)
    assert found.total == timedelta(seconds=1050)
    assert found.measured == frozenset()


def test_the_longest_that_a_step_took_counts() -> None:
    found = estimate(STEPS, (_run(platform=600), _run(platform=400, recover=100)), experience=EXPERIENCE)
    assert found.seconds == {"durable": 30, "platform": 600, "recover": 100}
    assert found.measured == {"platform", "recover"}


def test_a_step_that_found_nothing_to_do_says_nothing() -> None:
    assert estimate(STEPS, (_run(platform=0),), experience=EXPERIENCE).seconds["platform"] == 720


def test_a_step_that_did_not_end_says_nothing() -> None:
    entry = an_entry().step_started("platform", NOW)
    assert estimate(STEPS, (entry,), experience=EXPERIENCE).seconds["platform"] == 720


def test_what_is_left_is_what_is_not_done() -> None:
    found = estimate(STEPS, (), experience=EXPERIENCE)
    assert found.left_after(("durable", "platform")) == timedelta(seconds=300)


def test_a_step_that_nobody_knows_counts_nothing() -> None:
    assert estimate(("new",), (), experience=EXPERIENCE).total == timedelta(0)
