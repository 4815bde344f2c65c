"""The ledger test's schedules and its judge, of which everything that it says depends."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.ledger import (
    API,
    DAMAGE,
    KILL,
    KUBELET,
    STAYS,
    STORE,
    Contents,
    Row,
    announced_in,
    loss_of_move,
    schedule,
    union,
)

MOMENT = datetime(2026, 4, 27, 9, 55, tzinfo=UTC)
MANY = [schedule(seed) for seed in range(400)]


def rows(count: int, writer: str = STAYS) -> list[Row]:
    return [Row(writer, number) for number in range(count)]


def having(*some: Row, others: int = 0) -> Contents:
    return Contents(ledger=frozenset((row.writer, row.number) for row in some), users={}, others=others)


def test_a_seed_gives_one_schedule_and_another_seed_another() -> None:
    assert [schedule(seed) for seed in range(400)] == MANY
    assert len({str(one).partition(":")[2] for one in MANY}) > len(MANY) / 2


def test_all_operations_meet_all_faults_that_they_can_meet() -> None:
    met = {(operation.name, operation.fault.kind) for one in MANY for operation in one.operations}
    for name in ("latest", "pitr", "extract"):
        assert {(name, kind) for kind in (*STORE, *DAMAGE, KILL, KUBELET)} <= met
    for name in ("switchover", "rollback", "finalize"):
        assert {(name, kind) for kind in (KILL, KUBELET, "503")} <= met


def test_a_story_moves_traffic_only_after_a_recovery_and_back_only_after_a_move() -> None:
    for one in MANY:
        names = [operation.name for operation in one.operations]
        assert sum(name in {"latest", "pitr"} for name in names) == 1
        for later, earlier in (("switchover", ("latest", "pitr")), ("rollback", ("switchover",))):
            if later in names:
                assert any(name in earlier for name in names[: names.index(later)]), one


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("no transaction in postgres-dev, not in postgres-dev-recovered", 0),
        ("1 transaction, the last at 2026-04-27T09:55:00Z in postgres-dev", 1),
        ("at least 1,204 transactions, the last at 2026-04-27T09:55:00Z", 1204),
        ("what was committed could not be counted", None),
    ],
)
def test_a_plan_announces_a_number_or_none(said: str, number: int | None) -> None:
    assert announced_in([{"facts": {"Left behind": said}}], "Left behind") == number
    assert announced_in([{"facts": {"Left out": said}}], "Left behind") is None


def test_of_several_plans_that_were_agreed_to_the_largest_number_counts() -> None:
    plans = [{"facts": {"Left behind": f"{number} transactions"}} for number in (3, 7, 5)]
    assert announced_in(plans, "Left behind") == 7


def test_a_row_of_the_application_is_told_from_another_one_of_its_id() -> None:
    row = Row(API, 7, MOMENT)
    assert Contents(ledger=frozenset(), users={7: [MOMENT - timedelta(milliseconds=3)]}).has(row)
    assert not Contents(ledger=frozenset(), users={7: [MOMENT + timedelta(seconds=3)]}).has(row)
    assert not Contents(ledger=frozenset(), users={8: [MOMENT]}).has(row)


def test_what_is_in_any_of_several_databases_is_there() -> None:
    first, second = rows(2)
    assert union([having(first), having(second)]).missing([first, second]) == ()
    both = union([Contents(ledger=frozenset(), users={1: [MOMENT + timedelta(1)]}) for _ in range(2)])
    assert both.missing([Row(API, 1, MOMENT)]) == (Row(API, 1, MOMENT),)


def test_nothing_missing_is_no_loss() -> None:
    written = rows(9)
    assert str(loss_of_move(written, (), having(*written), announced=None)) == (
        "0 left behind, announced no number, unannounced 0 and late 0"
    )


def test_what_was_announced_is_no_unannounced_loss() -> None:
    written = rows(9)
    loss = loss_of_move(written, (), having(*written[:6]), announced=3)
    assert (loss.rows, loss.unannounced, loss.late) == (tuple(written[6:]), 0, 0)


def test_a_row_more_than_announced_is_unannounced() -> None:
    written = rows(9)
    loss = loss_of_move(written, (), having(*written[:6]), announced=2)
    assert (loss.unannounced, loss.late) == (1, 0)


def test_without_a_number_every_row_is_unannounced() -> None:
    written = rows(9)
    loss = loss_of_move(written, (), having(*written[:6]), announced=None)
    assert (loss.unannounced, loss.late) == (3, 0)


def test_commits_of_others_use_up_what_was_announced() -> None:
    written = rows(9)
    loss = loss_of_move(written, (), having(*written[:6]), announced=3, others=2)
    assert loss.unannounced == 2
    assert loss_of_move(written, (), having(*written), announced=0, others=2).unannounced == 0


def test_what_is_acknowledged_while_the_command_is_at_work_is_late() -> None:
    written = rows(9)
    loss = loss_of_move(written, (), having(*written[:5]), announced=2, late_from=7)
    assert (len(loss.rows), loss.unannounced, loss.late) == (4, 0, 2)


def test_what_an_earlier_move_left_behind_is_not_lost_once_more() -> None:
    written = rows(4)
    assert loss_of_move(written, {written[3]}, having(*written[:3]), announced=None).rows == ()


def test_a_move_knows_of_all_that_is_written_until_its_fence() -> None:
    """E8: it stops where more stays behind than its plan said, whoever has written."""
    for lost in (rows(1), [Row(API, 1, MOMENT)]):
        assert loss_of_move(lost, (), having(), announced=None).unannounced == 1
