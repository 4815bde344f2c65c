"""Names of tables, and those that are made from them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr.before_drop.drops import source_silent
from dr.core.commands import ANY_RUN
from dr.core.errors import RefusedError, RequestError
from dr.core.target import TimeTarget
from dr.extract import observe as extract
from dr.main import run
from dr.postgres.table_name import (
    TableName,
    all_suffixed,
    kept_as,
    recovered_as,
    staging_schema,
    suffixed,
)
from dr.recovery import run as recovery
from tests.support.doubles import Wire

TARGET = TimeTarget(datetime(2026, 11, 23, 9, 1, 2, 500000, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "schema", "table"),
    [
        ("users", "public", "users"),
        ("public.users", "public", "users"),
        ("Sales.Orders", "sales", "orders"),
        ('sales."Order"', "sales", "Order"),
        ('"a.b"."say ""hi"""', "a.b", 'say "hi"'),
        (" users ", "public", "users"),
        ("besøk", "public", "besøk"),
        ("GRÖSSE$1", "public", "grÖsse$1"),
        ("😀", "public", "😀"),
        ("\N{NO-BREAK SPACE}", "public", "\N{NO-BREAK SPACE}"),
    ],
)
def test_a_name_is_read_as_sql_reads_it_and_shown_so_that_it_is_read_back(text: str, schema: str, table: str) -> None:
    name = TableName.parse(text)
    assert name == TableName(schema, table)
    assert TableName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.b.c", "users; DROP TABLE x", "users--", '"open', '""', "1st", "u" * 64, "ö" * 32, "$a", "\udcff"],
)
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
    later = TimeTarget(datetime(2026, 11, 23, 9, 1, 2, 600000, tzinfo=UTC))
    assert staging_schema(users, TARGET) == staging_schema(users, TARGET)
    assert len({staging_schema(users, TARGET), staging_schema(orders, TARGET), staging_schema(users, later)}) == 3
    assert staging_schema(users, TARGET).startswith("postgres_dr_")


_WAYS = {
    "--before-drop": ("pitr", "--before-drop"),
    "--expect-table": ("pitr", "--before-drop", "users", "--expect-table"),
    "--table": ("extract", "--before-drop", "--table"),
}


def _said(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    run([*words, "--dry-run", "--config-dir", str(folder), "--env", "prod", "--json"])
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    return str(problem["code"])


@pytest.mark.parametrize("way", _WAYS.values(), ids=_WAYS)
@pytest.mark.parametrize(
    ("text", "valid"),
    [("größe", True), ('"Größe"', True), ("sales.a$1", True), ('"a.b".c', True), ("a.b.c", False), ("ö" * 32, False)],
)
def test_every_option_takes_the_same_names(
    place: Path,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: tuple[str, ...],
    text: str,
    valid: bool,
) -> None:
    """TableName: ``--before-drop größe`` was taken, and ``--table größe`` was refused."""

    def find(*_: object) -> None:
        raise RefusedError([source_silent(ANY_RUN, "postgres-prod", "no search here")])

    monkeypatch.setattr(recovery, "find_drop", find)
    monkeypatch.setattr(extract, "find_drop", find)
    expected = source_silent(ANY_RUN, "", "").code if valid else "table-name-malformed"
    assert _said(place, capsys, *way, text) == expected


@pytest.mark.parametrize("option", _WAYS)
def test_the_refusal_names_the_option(place: Path, capsys: pytest.CaptureFixture[str], option: str) -> None:
    run([*_WAYS[option], "a.b.c", "--config-dir", str(place), "--env", "prod", "--json"])
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["cause"].startswith(f"{option} 'a.b.c' is not a valid table name")
