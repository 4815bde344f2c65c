"""Values of an extraction as the tests need them: everything in order, to be changed by a key."""

from dataclasses import replace
from typing import Any

from dr.extract.preconditions import ExtractRequest, ExtractSituation
from dr.extract.table_facts import LiveSeen, Part, TableFacts
from dr.postgres.table_name import TableName
from tests.support.builders import TARGET, a_situation, a_source

USERS = TableName("public", "users")


def a_table(**changes: Any) -> TableFacts:
    """A plain table with nothing hanging on it."""
    good = TableFacts(
        oid=16400,
        kind="r",
        is_partition=False,
        temporary_or_unlogged=False,
        rows=1000,
        size=2**20,
        parts=(Part(kind="TABLE", table_schema="public", name="users"),),
        sequences=(),
        keys_out=(),
        keys_in=(),
        views=(),
        others=(),
    )
    return good.model_copy(update=changes)


def live_seen(**changes: Any) -> LiveSeen:
    """The table was dropped; nothing else is there."""
    good = LiveSeen(schema_exists=True, staged=False, table=None, recovered=None, kept=None)
    return good.model_copy(update=changes)


def an_extract_situation(seen: LiveSeen | None = None, **changes: Any) -> ExtractSituation:
    """Everything in order for :func:`an_extract_request`."""
    good = ExtractSituation(
        recovery=a_situation(),
        scratch_name="postgres-prod-scratch",
        live=a_source(),
        live_seen=seen or live_seen(),
    )
    return replace(good, **changes)


def an_extract_request(**changes: Any) -> ExtractRequest:
    """``public.users`` at :data:`TARGET`, beside the present one."""
    return replace(ExtractRequest(table=USERS, target=TARGET, source="postgres-prod"), **changes)
