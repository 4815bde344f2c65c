"""The RPO: what was recovered against what was acknowledged, and honesty where either is not known."""

from datetime import timedelta

import pytest

from dr.core.target import LaterCommits
from dr.recovery.verify import loss_at_the_end, loss_by_target, lost_by_target
from tests.support.builders import NOW, TARGET, TARGET_TIME

BASE_END = NOW - timedelta(hours=9)
RECOVERED = NOW - timedelta(seconds=42)


def test_at_the_end_the_loss_lies_between_the_two_commits() -> None:
    loss = loss_at_the_end(RECOVERED, NOW, base_end=BASE_END)
    assert (loss.seconds, loss.wanted) == (42.0, False)


def test_a_recovered_commit_is_not_lost_because_the_source_answered_before_it() -> None:
    assert loss_at_the_end(NOW, RECOVERED, base_end=BASE_END).seconds == 0.0


@pytest.mark.parametrize(("recovered", "acknowledged"), [(None, None), (RECOVERED, None), (None, NOW)])
def test_what_is_not_known_is_no_number(recovered: object, acknowledged: object) -> None:
    loss = loss_at_the_end(recovered, acknowledged, base_end=BASE_END)  # type: ignore[arg-type]
    assert loss.seconds is None
    assert "is known" in loss.how


def test_a_database_that_rested_since_its_base_backup_lost_nothing() -> None:
    loss = loss_at_the_end(None, BASE_END - timedelta(hours=1), base_end=BASE_END)
    assert loss.seconds == 0.0
    assert "since the base backup" in loss.how


def test_a_target_leaves_out_on_purpose_what_came_later() -> None:
    last = TARGET_TIME + timedelta(seconds=10)
    later = LaterCommits(count=8, last=last, complete=True)
    loss = loss_by_target(TARGET_TIME - timedelta(seconds=2), later)
    assert (loss.seconds, loss.transactions, loss.wanted) == (12.0, 8, True)
    (told,) = lost_by_target(TARGET, later)
    assert told.startswith("8 transactions")


def test_nothing_after_the_target_is_nothing_lost() -> None:
    none = LaterCommits(count=0, last=None, complete=True)
    assert loss_by_target(TARGET_TIME, none).seconds == 0.0
    assert lost_by_target(TARGET, none) == []


def test_what_could_not_be_counted_is_said_so() -> None:
    assert loss_by_target(TARGET_TIME, None).seconds is None
    assert "could not be counted" in lost_by_target(TARGET, None)[0]
