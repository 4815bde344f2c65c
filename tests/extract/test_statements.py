"""The statements of an extraction. That PostgreSQL does with them what is meant is seen on the lab (tests/e2e)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dr.core.target import TimeTarget
from dr.extract.statements import (
    NOT_DONE,
    Present,
    Swap,
    add_checked,
    ask_digest,
    ask_present,
    beside,
    check,
    preparation,
    restoration,
)
from dr.extract.table_facts import ForeignKey, Part, Prepared, Sequence, TableFacts, View, ask_live, ask_table
from dr.postgres.table_name import TableName
from tests.support.extractions import a_table

TARGET = TimeTarget(datetime(2026, 11, 23, 9, 1, 2, tzinfo=UTC))
USERS = TableName("public", "users")
STAGING = "postgres_dr_1"
TO_COUNTRY = ForeignKey(
    table="public.users",
    name="users_country",
    definition="FOREIGN KEY (country) REFERENCES public.countries(code)",
    partitioned=False,
)
FROM_ORDERS = ForeignKey(
    table="sales.orders",
    name="orders_user",
    definition="FOREIGN KEY (user_id) REFERENCES public.users(id)",
    partitioned=False,
)
EMAILS = View(
    name="public.emails",
    materialized=False,
    level=1,
    definition=" SELECT email FROM public.users;",
    options="security_barrier=true",
)
SHOUTED = View(name="public.shouted", materialized=False, level=2, definition=" SELECT 1;", options="")


def users(schema: str = "public", **changes: Any) -> TableFacts:
    kinds = (("TABLE", "users"), ("INDEX", "users_pkey"), ("SEQUENCE", "users_id_seq"), ("STATISTICS", "users_stat"))
    good = a_table(
        parts=tuple(Part(kind=kind, table_schema=schema, name=name) for kind, name in kinds),
        sequences=(Sequence(name="users_id_seq", table="users", column="id", counts_up=True),),
    )
    return good.model_copy(update=changes)


def prepared(**changes: Any) -> Prepared:
    known = users(keys_out=(TO_COUNTRY,), keys_in=(FROM_ORDERS,), views=(EMAILS, SHOUTED), others=("function f()",))
    dumped = ("\\restrict x\nCREATE VIEW public.emails AS SELECT 1;\n\\unrestrict x", "CREATE VIEW public.shouted …")
    return Prepared(facts=known, view_statements=dumped).model_copy(update=changes)


def swap(existing: TableFacts | None = None, *, relations: tuple[str, ...] = ("sales.orders",)) -> Swap:
    return Swap(
        table=USERS,
        target=TARGET,
        staging=STAGING,
        loaded=users(STAGING),
        existing=existing,
        prepared=prepared(),
        present=Present(relations=frozenset(relations), constraints=frozenset()),
    )


def in_order(script: str, *parts: str) -> bool:
    """Whether all ``parts`` are in the script, each after the one before."""
    places = [script.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_the_scratch_cluster_keeps_what_the_table_was_and_only_the_table_moves() -> None:
    script = preparation(STAGING, prepared())
    assert in_order(
        script,
        "BEGIN READ WRITE;",
        f"CREATE SCHEMA {STAGING};",
        'ALTER TABLE public.users DROP CONSTRAINT "users_country";',
        f'ALTER TABLE "public"."users" SET SCHEMA "{STAGING}";',
        f'ALTER STATISTICS "public"."users_stat" SET SCHEMA "{STAGING}";',
        f"COMMENT ON SCHEMA {STAGING} IS",
        "COMMIT;",
    )
    # Indexes and sequences go with their table, and cannot be moved by themselves.
    assert "ALTER INDEX" not in script
    assert "orders_user" not in script.split("COMMENT ON")[0]


def test_what_was_moved_in_a_scratch_cluster_is_put_back_as_it_was() -> None:
    assert in_order(
        restoration(STAGING, prepared()),
        f'ALTER TABLE "{STAGING}"."users" SET SCHEMA "public";',
        'ADD CONSTRAINT "users_country" FOREIGN KEY (country) REFERENCES public.countries(code);',
        f"DROP SCHEMA {STAGING};",
    )


def test_what_was_prepared_is_read_back_as_it_was() -> None:
    assert Prepared.model_validate_json(prepared().model_dump_json()) == prepared()


def test_beside_the_present_one_every_name_gets_the_moment() -> None:
    script = beside(USERS, TARGET, STAGING, users(STAGING))
    assert in_order(
        script,
        "BEGIN READ WRITE;",
        "lock_timeout",
        f'ALTER TABLE "{STAGING}"."users" RENAME TO "users_recovered_20261123t090102z";',
        f'ALTER INDEX "{STAGING}"."users_pkey" RENAME TO "users_pkey_recovered_20261123t090102z";',
        f'ALTER TABLE "{STAGING}"."users_recovered_20261123t090102z" SET SCHEMA "public";',
        f"DROP SCHEMA {STAGING};",
        "COMMIT;",
    )
    assert "FOREIGN KEY" not in script
    assert "CASCADE" not in script


def test_a_swap_for_a_dropped_table_brings_back_what_was_dropped_with_it() -> None:
    one = swap()
    assert in_order(
        one.statements,
        "BEGIN READ WRITE;",
        f'ALTER TABLE "{STAGING}"."users" SET SCHEMA "public";',
        "SELECT setval(",
        'ADD CONSTRAINT "users_country" FOREIGN KEY (country) REFERENCES public.countries(code) NOT VALID',
        'ALTER TABLE sales.orders ADD CONSTRAINT "orders_user" FOREIGN KEY (user_id) REFERENCES public.users(id) NOT',
        "CREATE VIEW public.emails",
        "CREATE VIEW public.shouted",
        f"DROP SCHEMA {STAGING};",
        "COMMIT;",
    )
    assert "restrict" not in one.statements
    assert one.lost_keys == (FROM_ORDERS,)
    assert [view for view, _ in one.lost_views] == [EMAILS, SHOUTED]
    assert one.left_out == ("function f()",)


def test_what_cannot_be_made_again_is_told_and_what_is_locked_is_a_reason_to_begin_again() -> None:
    statements = swap().statements
    assert f"{NOT_DONE}view public.emails" in statements
    assert "WHEN lock_not_available OR deadlock_detected OR query_canceled THEN RAISE;" in statements


def test_a_foreign_key_of_a_table_that_is_gone_is_not_tried() -> None:
    assert swap(relations=()).lost_keys == ()


def test_a_swap_keeps_the_present_one_and_points_what_uses_it_to_the_recovered() -> None:
    one = swap(users(keys_in=(FROM_ORDERS,), views=(EMAILS, SHOUTED)), relations=("sales.orders",))
    assert in_order(
        one.statements,
        'LOCK TABLE "public"."users" IN ACCESS EXCLUSIVE MODE;',
        "::regclass::oid = 16400",
        'ALTER TABLE sales.orders DROP CONSTRAINT "orders_user";',
        'ALTER TABLE "public"."users" RENAME TO "users_before_20261123t090102z";',
        'ALTER INDEX "public"."users_pkey" RENAME TO "users_pkey_before_20261123t090102z";',
        f'ALTER TABLE "{STAGING}"."users" SET SCHEMA "public";',
        'last_value FROM "public"."users_id_seq_before_20261123t090102z"',
        'ALTER TABLE sales.orders ADD CONSTRAINT "orders_user"',
        "CREATE OR REPLACE VIEW public.emails WITH (security_barrier=true) AS  SELECT email FROM public.users;",
    )
    # A view on a view reads the same view as before.
    assert "public.shouted" not in one.statements
    assert "DROP TABLE" not in one.statements


def test_what_was_dropped_by_itself_since_is_not_made_again_but_told() -> None:
    one = swap(users(), relations=("sales.orders", "public.emails"))
    assert (one.lost_keys, one.lost_views) == ((), ())
    assert one.left_out == (
        "foreign key orders_user of sales.orders, dropped since the target",
        "view public.shouted, dropped since the target",
    )


def test_a_counter_is_never_set_back_and_one_that_counts_down_is_left_alone() -> None:
    down = Sequence(name="users_id_seq", table="users", column="id", counts_up=False)
    assert "greatest(" in swap().statements
    assert "setval" not in replace(swap(), loaded=users(STAGING, sequences=(down,))).statements


def test_a_foreign_key_that_was_never_checked_stays_so() -> None:
    unchecked = FROM_ORDERS.model_copy(update={"definition": f"{FROM_ORDERS.definition} NOT VALID"})
    assert unchecked.unchecked == unchecked.definition
    assert unchecked.was_not_valid
    assert check("sales.orders", "orders_user") == 'ALTER TABLE sales.orders VALIDATE CONSTRAINT "orders_user"'


def test_a_partitioned_table_gets_its_foreign_key_checked_as_it_takes_no_other() -> None:
    partitioned = FROM_ORDERS.model_copy(update={"partitioned": True})
    assert "NOT VALID" not in add_checked(partitioned)
    one = replace(swap(), prepared=prepared(facts=prepared().facts.model_copy(update={"keys_in": (partitioned,)})))
    assert one.lost_keys == ()


def test_rows_are_compared_whatever_the_settings_of_the_two_databases_are() -> None:
    *settings, question = ask_digest(USERS, checksum=True)
    assert any("timezone" in setting for setting in settings)
    assert question == 'SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)), 0) FROM "public"."users" AS t'
    assert ask_digest(USERS, checksum=False)[-1] == 'SELECT count(*), \'\' FROM "public"."users"'


def test_names_in_the_questions_are_literals() -> None:
    odd = TableName("public", "it's")
    assert "'it''s'" in ask_table(odd)
    assert "{table}" not in ask_live(odd, recovered=odd, kept=odd, staging=STAGING)
    assert "conname = 'orders_user'" in ask_present((), [FROM_ORDERS])
    assert ask_present((), ()) == "SELECT WHERE false"
