"""Names of tables, and those that are made from them."""

from datetime import UTC, datetime

import pytest

from dr.core.errors import RequestError
from dr.core.target import RecoveryTarget
from dr.postgres.table_name import (
    TableName,
    all_suffixed,
    identifier,
    kept_as,
    literal,
    recovered_as,
    staging_schema,
    suffixed,
)

TARGET = RecoveryTarget(datetime(2026, 11, 23, 9, 1, 2, 500000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "schema", "table"),
    [
        ("users", "public", "users"),
        ("public.users", "public", "users"),
        ("Sales.Orders", "sales", "orders"),
        ('sales."Order"', "sales", "Order"),
        ('"a.b"."say ""hi"""', "a.b", 'say "hi"'),
        (" users ", "public", "users"),
    ],
)
def test_a_name_is_read_as_sql_reads_it_and_shown_so_that_it_is_read_back(text: str, schema: str, table: str) -> None:
    name = TableName.parse(text)
    assert name == TableName(schema, table)
    assert TableName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "users; DROP TABLE x", "users--", '"open', '""', "1st", "u" * 64])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        TableName.parse(text)
    assert refused.value.code == "table-name-malformed"


def test_the_names_that_are_made_tell_the_moment_in_utc() -> None:
    users = TableName("public", "users")
    assert str(recovered_as(users, TARGET)) == "public.users_recovered_20261123t090102z"
    assert str(kept_as(users, TARGET)) == "public.users_before_20261123t090102z"


def test_a_long_name_loses_its_end_and_no_half_of_a_character() -> None:
    made = suffixed("ü" * 31, "_recovered_20261123t090102z")
    assert len(made.encode()) <= 63
    assert made.endswith("ü_recovered_20261123t090102z")


def test_two_long_names_that_would_become_one_get_numbers() -> None:
    first, second = "i" * 60 + "_a", "i" * 60 + "_b"
    made = all_suffixed([first, second], "_before_x")
    assert made[first] != made[second]
    assert {len(name) for name in made.values()} == {63}


def test_the_staging_schema_is_the_same_each_time_and_another_for_another_table_or_moment() -> None:
    users, orders = TableName("public", "users"), TableName("public", "orders")
    later = RecoveryTarget(datetime(2026, 11, 23, 9, 1, 2, 600000, tzinfo=UTC))
    assert staging_schema(users, TARGET) == staging_schema(users, TARGET)
    assert len({staging_schema(users, TARGET), staging_schema(orders, TARGET), staging_schema(users, later)}) == 3
    assert staging_schema(users, TARGET).startswith("postgres_dr_")


def test_quotes_and_backslashes_are_taken_literally() -> None:
    assert identifier('say "hi"') == '"say ""hi"""'
    assert literal("it's") == "'it''s'"
    assert literal(r"a\b'c") == r" E'a\\b''c'"
