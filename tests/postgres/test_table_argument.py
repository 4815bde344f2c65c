"""Table names as SQL reads them."""

import pytest

from dr.core.errors import RequestError
from dr.postgres.table_argument import TableName


@pytest.mark.parametrize(
    ("text", "schema", "name", "shown"),
    [
        ("users", "public", "users", "public.users"),
        ("Public.Users", "public", "users", "public.users"),
        ('shop."Users"', "shop", "Users", 'shop."Users"'),
        ('"a.b"."c""d"', "a.b", 'c"d', '"a.b"."c""d"'),
        ("besøk", "public", "besøk", 'public."besøk"'),
    ],
)
def test_a_name_is_read_as_sql_reads_it_and_shown_so_that_it_can_be_read_again(
    text: str, schema: str, name: str, shown: str
) -> None:
    found = TableName.parse(text)
    assert (found.schema, found.name, str(found)) == (schema, name, shown)
    assert TableName.parse(shown) == found


def test_for_sql_it_is_always_quoted() -> None:
    assert TableName("public", 'a"b').sql == '"public"."a""b"'


@pytest.mark.parametrize("text", ["", "a.b.c", "1st", "users; DROP TABLE jobs", 'public."', "x" * 64])
def test_what_is_no_table_name_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        TableName.parse(text)
    assert refused.value.code == "table-name-malformed"
