"""Names and values in SQL and in connection strings."""

import shlex

from dr.postgres.sql import conninfo, identifier, literal


def test_quotes_in_a_name_are_doubled() -> None:
    assert identifier('say "hi"') == '"say ""hi"""'


def test_a_string_is_the_same_whatever_standard_conforming_strings_says() -> None:
    assert literal("it's") == "'it''s'"
    assert literal(r"a\b'c") == r" E'a\\b''c'"


def test_values_of_a_connection_string_are_quoted() -> None:
    made = conninfo(host="db", dbname="my shop's", connect_timeout=10)
    assert made == r"host='db' dbname='my shop\'s' connect_timeout='10'"
    assert shlex.split(conninfo(user="keeper of shops")) == ["user=keeper of shops"]
