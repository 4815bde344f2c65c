"""Rows against the live database: what time explains is no fault, and a row that has to be there is missed."""

from datetime import timedelta

import pytest

from dr.drill.examination import COUNTED_BYTES, Counted, TableSeen, ask_counts, compare, read_counts, worth_counting
from tests.support.builders import NOW


def test_the_smallest_tables_are_counted_until_enough_is_read() -> None:
    tables = [TableSeen(name="big", size=COUNTED_BYTES), TableSeen(name="b", size=2), TableSeen(name="a", size=1)]
    assert worth_counting(tables) == ("a", "b")
    assert worth_counting([]) == ()
    assert len(worth_counting([TableSeen(name=str(n), size=1) for n in range(2000)])) == 500


def test_one_statement_asks_for_all_and_an_answer_is_read_whatever_the_name() -> None:
    asked = ask_counts(["public.users", 'public."a|b\'c"'], before=None)
    assert asked.count("UNION ALL") == 1
    assert "'public.\"a|b''c\"'" in asked
    assert "pg_xact_commit_timestamp" not in asked
    assert read_counts(["public.users|10|9", 'public."a|b\'c"|3|']) == {
        "public.users": Counted(rows=10, old=9),
        'public."a|b\'c"': Counted(rows=3, old=None),
    }


def test_old_rows_are_those_of_well_before_the_moment() -> None:
    # Two commits side by side may stand in the WAL in another order than their times.
    assert (NOW - timedelta(seconds=5)).isoformat() in ask_counts(["t"], before=NOW)


def test_what_is_the_same_passes() -> None:
    found = compare({"t": Counted(rows=5)}, {"t": Counted(rows=5)}, left_out=0)
    assert (found.passed, found.missing) == (True, ())
    assert found.value == "5 rows in 1 tables, 1 of them as in the live database"


def test_rows_written_since_are_explained() -> None:
    found = compare({"t": Counted(rows=5)}, {"t": Counted(rows=9, old=5)}, left_out=0)
    assert found.passed is True
    assert "1 changed since, with every row that is older" in found.value


def test_rows_deleted_since_are_explained() -> None:
    assert compare({"t": Counted(rows=5)}, {"t": Counted(rows=2, old=2)}, left_out=0).passed is True


def test_a_row_that_is_older_than_the_moment_has_to_be_there() -> None:
    found = compare({"t": Counted(rows=4)}, {"t": Counted(rows=9, old=5)}, left_out=0)
    assert found.passed is False
    assert found.missing == ("t has 4 rows, and 5 of the live ones are older than the recovered moment",)
    assert "missing: t has 4 rows" in found.value


def test_a_table_with_old_rows_has_to_be_there_at_all() -> None:
    found = compare({"a": Counted(rows=1)}, {"a": Counted(rows=1, old=1), "t": Counted(rows=3, old=3)}, left_out=0)
    assert found.passed is False
    assert "t has 0 rows" in found.missing[0]


def test_a_new_table_need_not_be_there() -> None:
    found = compare({"a": Counted(rows=1)}, {"a": Counted(rows=1, old=1), "t": Counted(rows=3, old=0)}, left_out=0)
    assert found.passed is True
    assert "1 only in the live one" in found.value


@pytest.mark.parametrize("live", [{"t": Counted(rows=9)}, {}])
def test_without_times_a_difference_is_not_judged(live: dict[str, Counted]) -> None:
    assert compare({"t": Counted(rows=5)}, live, left_out=0).passed is None


def test_what_was_too_large_is_said() -> None:
    assert "2 too large to be counted" in compare({"t": Counted(rows=5)}, {"t": Counted(rows=5)}, left_out=2).value
