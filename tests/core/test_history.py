"""What was done to an environment, as it is kept."""

import json
from datetime import timedelta

import pytest
from pydantic import ValidationError

from dr.core.history import KEPT, OperationEntry, Outcome, with_entry
from tests.support.builders import NOW, an_entry

LATER = NOW + timedelta(seconds=5)


def test_a_step_that_began_is_not_done() -> None:
    entry = an_entry().step_started("remember", NOW)
    assert [(step.key, step.started, step.ended) for step in entry.steps] == [("remember", NOW, None)]
    assert entry.done == ()


def test_a_step_that_ended_is_done_and_has_its_fact() -> None:
    entry = an_entry().step_started("remember", NOW).step_done("api 3", LATER).step_started("fence", LATER)
    assert [(step.key, step.ended, step.fact) for step in entry.steps] == [
        ("remember", LATER, "api 3"),
        ("fence", None, ""),
    ]
    assert entry.done == ("remember",)


def test_an_operation_runs_until_its_end_is_written() -> None:
    entry = an_entry()
    assert (entry.outcome, entry.ended) == (Outcome.RUNNING, None)
    over = entry.over(Outcome.FAILED, LATER, "the disk is full")
    assert (over.outcome, over.ended, over.cause) == (Outcome.FAILED, LATER, "the disk is full")


def test_changing_an_entry_leaves_the_one_before_alone() -> None:
    before = an_entry().step_started("remember", NOW)
    before.step_done("api 3", LATER)
    before.over(Outcome.DONE, LATER)
    assert before == an_entry().step_started("remember", NOW)


def test_an_entry_reads_back_from_json_with_its_times_and_zone() -> None:
    entry = an_entry(facts={"To": "x"}).step_started("remember", NOW).step_done("api 3", LATER)
    again = OperationEntry.model_validate_json(json.dumps(entry.as_json()))
    assert again == entry
    assert again.started.utcoffset() == timedelta(0)


def test_an_entry_of_a_newer_version_is_refused_rather_than_cut_down() -> None:
    with pytest.raises(ValidationError):
        OperationEntry.model_validate({**an_entry().as_json(), "novelty": 1})


def test_a_later_state_takes_the_place_of_the_earlier_one() -> None:
    first, second = an_entry("pitr"), an_entry("switchover")
    history = with_entry(with_entry((), first), second)
    later = second.over(Outcome.DONE, LATER)
    assert with_entry(history, later) == (first, later)


def test_only_the_newest_operations_are_kept() -> None:
    history: tuple[OperationEntry, ...] = ()
    for number in range(KEPT + 3):
        history = with_entry(history, an_entry(id=str(number)))
    assert [entry.id for entry in history] == [str(number) for number in range(3, KEPT + 3)]
