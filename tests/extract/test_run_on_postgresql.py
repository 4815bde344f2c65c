"""Extractions between two real servers: what PostgreSQL itself does with the statements, and to everybody else."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dr.core.errors import RefusedError
from dr.extract.statements import _DEADLINE
from dr.kube.api import KubernetesApi
from tests.support.doubles import Wire
from tests.support.extractions import Extracting, extraction_by
from tests.support.postgres import Server, Servers, servers
from tests.support.waiting import wait_for

KEPT = "users_before_20260427t095500z"
RECOVERED = "users_recovered_20260427t095500z"
USERS = "CREATE TABLE users (id int PRIMARY KEY, email text)"
ROWS = "INSERT INTO users SELECT n, 'u' || n FROM generate_series(1, 50) n"


@pytest.fixture(scope="module")
def both() -> Iterator[Servers]:
    with servers() as both:
        yield both


@pytest.fixture
def extracting(
    both: Servers, wire: Wire, api: KubernetesApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Extracting:
    both.fresh()
    return extraction_by(both, wire, api, tmp_path, monkeypatch)


@pytest.fixture
def live(both: Servers) -> Server:
    return both.live


def refused(extracting: Extracting, table: str) -> str:
    with pytest.raises(RefusedError) as error:
        extracting.decide(table, swap=True)
    (problem,) = error.value.problems
    assert problem.code == "table-has-dependents"
    return problem.cause


def test_a_table_is_loaded_beside_and_swapped_in(extracting: Extracting, both: Servers, live: Server) -> None:
    both.both(USERS, ROWS)
    live.sql("UPDATE users SET email = 'lost'")
    assert extracting.run("users").extracted.compared == "number and checksum"
    assert live.sql(f"SELECT count(*) FROM {RECOVERED} WHERE email <> 'lost'") == "50"
    extracting.run("users", swap=True)
    assert live.sql("SELECT count(*) FROM users WHERE email <> 'lost'", f"SELECT count(*) FROM {KEPT}") == "50\n50"


def subscribe(both: Servers, tables: str) -> None:
    """The other server's database ``subscriber`` takes all that the publication ``everything`` gives."""
    both.live.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    both.scratch.sql("CREATE DATABASE subscriber", database="postgres")
    connection = f"host={both.live.folder} port={both.live.port} user=postgres dbname=shop"
    both.scratch.sql(
        tables,
        f"CREATE SUBSCRIPTION s CONNECTION '{connection}' PUBLICATION everything",
        database="subscriber",
    )


def unsubscribe(both: Servers) -> None:
    both.scratch.sql("DROP SUBSCRIPTION s", database="subscriber")
    both.scratch.sql("DROP DATABASE subscriber", database="postgres")


def test_what_is_loaded_reaches_no_subscriber(extracting: Extracting, both: Servers, live: Server) -> None:
    """X1. The load alone ended the subscriber's worker, for every table."""
    orders = "CREATE TABLE orders (id int PRIMARY KEY)"
    both.both(f"{USERS}; {orders}", ROWS)
    live.sql("CREATE TABLE parts (id int, day int, PRIMARY KEY (id, day)) PARTITION BY LIST (day)")
    subscribe(both, f"{USERS}; {orders}; CREATE TABLE parts (id int, day int)")
    live.sql("SELECT pg_create_logical_replication_slot('others', 'test_decoding')")
    try:
        # WHEN a table is loaded beside, and something is written to another one
        extracting.run("users")
        live.sql("INSERT INTO orders VALUES (1)")
        # THEN that arrives; nothing of the load was decoded, by whatever reads the WAL
        wait_for(lambda: both.scratch.sql("SELECT count(*) FROM orders", database="subscriber") == "1")
        errors = "SELECT apply_error_count FROM pg_stat_subscription_stats"
        assert both.scratch.sql(errors, database="subscriber") == "0"
        decoded = live.sql(
            "SELECT data FROM pg_logical_slot_get_changes('others', NULL, NULL) WHERE data LIKE 'table%'"
        )
        assert decoded == "table public.orders: INSERT: id[integer]:1"
    finally:
        unsubscribe(both)
        live.sql("SELECT pg_drop_replication_slot('others')")
    # AND it is a table as any other, which a crash does not empty
    assert live.sql(f"SELECT relpersistence FROM pg_class WHERE relname LIKE '{RECOVERED}%'") == "p"


@pytest.mark.parametrize(
    "publication", ["FOR ALL TABLES", "FOR TABLES IN SCHEMA public", "FOR TABLE users WITH (publish = 'insert')"]
)
def test_a_published_table_is_not_swapped(
    extracting: Extracting, both: Servers, live: Server, publication: str
) -> None:
    """X1. A subscriber would never get the rows that are swapped in."""
    both.both(USERS, ROWS)
    live.sql(f"CREATE PUBLICATION p {publication}")
    assert "its place in publication p" in refused(extracting, "users")
    # AND without --swap what is published from then on is told beforehand
    told = [warning for warning in extracting.decide("users").warnings if warning.startswith("Publication p ")]
    assert len(told) == (0 if "FOR TABLE users" in publication else 1)


def test_a_table_that_is_published_by_its_root_is_not_swapped(extracting: Extracting, live: Server) -> None:
    """X1. By the partitioned table, or by one of its partitions."""
    live.sql(
        "CREATE TABLE users (id int) PARTITION BY LIST (id)",
        "CREATE TABLE users_1 PARTITION OF users FOR VALUES IN (1)",
        "CREATE PUBLICATION p FOR TABLE users WITH (publish_via_partition_root = true)",
    )
    assert "publication p" in refused(extracting, "users")
    live.sql("DROP PUBLICATION p", "CREATE PUBLICATION q FOR TABLE users_1")
    assert "publication q" in refused(extracting, "users")


def test_a_table_that_a_subscription_writes_to_is_not_swapped(extracting: Extracting, both: Servers) -> None:
    """X1, the other way round: what the publisher sends to a table of that name would be left out silently."""
    both.both(USERS, ROWS)
    options = "WITH (connect = false, slot_name = NONE)"
    both.live.sql("SET client_min_messages = error", f"CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p {options}")
    both.live.sql(
        "INSERT INTO pg_subscription_rel SELECT oid, 'users'::regclass, 'r' FROM pg_subscription WHERE subname = 's'"
    )
    try:
        assert "its place in subscription s" in refused(extracting, "users")
    finally:
        both.live.sql("DROP SUBSCRIPTION s")


def test_a_child_of_another_table_is_refused(extracting: Extracting, both: Servers, live: Server) -> None:
    """X2. Its rows would be there twice for everybody who reads the parent."""
    both.both("CREATE TABLE parent (id int)", "CREATE TABLE users () INHERITS (parent)", "INSERT INTO users VALUES (1)")
    with pytest.raises(RefusedError) as error:
        extracting.decide("users", swap=True)
    assert "inherits from another table" in error.value.problems[0].cause
    assert any("inherits from another table" in warning for warning in extracting.decide("users").warnings)
    failed = extracting.failure("users")
    assert failed.code == "table-not-supported"
    assert live.sql("SELECT count(*) FROM parent") == "1"


PROTECTED = """CREATE ROLE analyst LOGIN; CREATE ROLE app LOGIN; CREATE TABLE users (id int PRIMARY KEY, tenant int);
GRANT SELECT ON users TO analyst, app; INSERT INTO users VALUES (1, 1), (2, 2)"""


@pytest.mark.parametrize(
    ("since", "word"),
    [
        ("REVOKE ALL ON users FROM analyst", "SELECT on public.users to analyst"),
        ("REVOKE ALL ON users FROM app; GRANT SELECT (id) ON users TO app", "SELECT on public.users to app"),
        ("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "row security of public.users"),
        ("CREATE POLICY t ON users USING (tenant = 1)", "policy t of public.users"),
        ("ALTER TABLE users OWNER TO app", "ownership of public.users by postgres"),
    ],
)
def test_what_protects_the_present_table_is_not_undone(
    extracting: Extracting, both: Servers, live: Server, since: str, word: str
) -> None:
    """X3. A right that was revoked, and row security that was switched on, were undone without a word."""
    both.both(PROTECTED)
    live.sql(since)
    before = live.sql("SELECT relacl, relrowsecurity FROM pg_class WHERE relname = 'users'")
    failed = extracting.failure("users", swap=True)
    assert failed.code == "swap-unprotects"
    assert word in failed.cause
    assert live.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'postgres_dr%'") == "0"
    assert live.sql("SELECT relacl, relrowsecurity FROM pg_class WHERE relname = 'users'") == before

    # AND beside it only the present one's owner reads it
    report = extracting.run("users")
    owner = live.sql("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'users'")
    assert any(f"owner {owner} alone" in one for one in report.extracted.left_out)
    for user in {"analyst", "app"} - {owner}:
        assert "permission denied" in live.tried(f"SELECT id FROM {RECOVERED}", user=user).errors
    assert live.sql(f"SELECT count(id) FROM {RECOVERED}", user=owner) == "2"


def test_other_changes_are_undone_only_once_the_plan_has_shown_them(
    extracting: Extracting, both: Servers, live: Server
) -> None:
    """X3."""
    both.both(
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TABLE users (id int PRIMARY KEY, email text, old text)",
        ROWS,
        "CREATE INDEX lower_email ON users (lower(email))",
        "CREATE ROLE app",
    )
    live.sql(
        "ALTER TABLE users ADD COLUMN phone text, DROP COLUMN old, ALTER COLUMN email SET NOT NULL",
        "DROP INDEX lower_email",
        "CREATE UNIQUE INDEX users_email ON users (email)",
        "CREATE TRIGGER audit BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit()",
        "ALTER TABLE users ADD CONSTRAINT positive CHECK (id > 0), REPLICA IDENTITY FULL",
        "GRANT SELECT ON users TO app",
    )
    differences = [
        "SELECT on public.users to app, granted since, would go",
        "column email would be as it was: text (now text NOT NULL)",
        "column old, not there now, would come back",
        "column phone, there now, would go",
        "constraint positive of public.users, there now, would go",
        "index public.lower_email, not there now, would come back",
        "index public.users_email, there now, would go",
        "replica identity of public.users, there now, would go",
        "trigger audit of public.users, there now, would go",
    ]
    failed = extracting.failure("users", swap=True)
    assert failed.code == "swap-undoes-changes"
    for difference in differences:
        assert difference in failed.cause
    assert live.sql("SELECT count(*) FROM users") == "50"

    # WHEN it is repeated, its plan shows them
    warned = [warning for warning in extracting.decide("users", swap=True).warnings if "undoes" in warning]
    assert [warning.removeprefix("The swap undoes what was changed since the target: ") for warning in warned] == [
        f"{difference}." for difference in differences
    ]
    extracting.run("users", swap=True)
    assert live.sql("SELECT count(old) + count(id) FROM users") == "50"


def test_a_table_that_was_not_changed_has_no_differences(extracting: Extracting, both: Servers, live: Server) -> None:
    """X3. All that a table can have, the same on both sides."""
    both.both(
        "CREATE ROLE app",
        'CREATE TABLE users (id bigserial PRIMARY KEY, email text COLLATE "C", n int GENERATED ALWAYS AS (1) STORED)',
        "CREATE INDEX part ON users (lower(email)) WHERE id > 3",
        "GRANT SELECT ON users TO app WITH GRANT OPTION",
        "GRANT UPDATE (email) ON users TO PUBLIC",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY p ON users FOR SELECT TO app USING (id > 0)",
        "CREATE RULE r AS ON DELETE TO users DO NOTHING",
    )
    live.sql("INSERT INTO users (email) VALUES ('x')")
    extracting.run("users", swap=True)
    assert live.sql("SELECT count(*) FROM users") == "0"


@pytest.mark.parametrize("action", ["ON DELETE CASCADE", ""])
def test_what_is_kept_is_touched_by_no_foreign_key_of_its_own(
    extracting: Extracting, both: Servers, live: Server, action: str
) -> None:
    """X4. Ordinary deletions took rows from the only copy of what was written since, or were hindered by it."""
    both.both(
        "CREATE TABLE customers (id int PRIMARY KEY)",
        f"CREATE TABLE users (id int PRIMARY KEY, c int CONSTRAINT of REFERENCES customers {action}, "
        "up int REFERENCES users)",
        "INSERT INTO customers SELECT generate_series(1, 3)",
    )
    both.scratch.sql("INSERT INTO users VALUES (1, 1)")
    live.sql("INSERT INTO users VALUES (2, 2), (3, 3)")
    report = extracting.run("users", swap=True)
    assert any("without foreign key of of public.users" in w for w in report.decision.warnings)
    (lost,) = report.extracted.left_out
    assert lost.startswith("foreign key of of public.users: FOREIGN KEY (c) REFERENCES public.customers(id)")
    live.sql("DELETE FROM customers WHERE id > 1")
    assert live.sql(f"SELECT count(*) FROM {KEPT}", "SELECT count(*) FROM users") == "2\n1"
    assert live.sql("SELECT convalidated FROM pg_constraint WHERE conname = 'of'") == "t"


def test_large_objects_are_not_lost_silently(extracting: Extracting, both: Servers, live: Server) -> None:
    """X6. The rows were "the same by number and checksum", and what they referred to was gone."""
    both.both("CREATE TABLE users (id int, body oid, rel oid)", "INSERT INTO users VALUES (1, 77, 1259)")
    both.both("SELECT lo_from_bytea(77, 'hello')")
    live.sql("SELECT lo_unlink(77)")
    assert any("column body of public.users" in w for w in extracting.decide("users").warnings)
    failed = extracting.failure("users", swap=True)
    assert failed.code == "large-objects-left-out"
    assert "by body, and" in failed.cause
    report = extracting.run("users")
    assert [one for one in report.extracted.left_out if "large objects that column body" in one]


def test_a_sequence_that_another_table_uses_counts_as_what_depends_on_the_table(
    extracting: Extracting, both: Servers, live: Server
) -> None:
    """X7. Both gave out the same numbers after a swap; a default that was dropped with it was not told."""
    both.both(
        "CREATE TABLE users (id bigserial PRIMARY KEY)",
        "CREATE TABLE admins (id bigint DEFAULT nextval('users_id_seq'))",
    )
    assert "default value for column id of table public.admins" in refused(extracting, "users")
    live.sql("DROP TABLE users CASCADE")
    report = extracting.run("users", swap=True)
    assert report.extracted.left_out == ("default value for column id of table public.admins",)


def test_a_sequence_that_belongs_to_another_table_is_left_alone(
    extracting: Extracting, both: Servers, live: Server
) -> None:
    both.both("CREATE TABLE admins (id bigserial)", "CREATE TABLE users (id bigint DEFAULT nextval('admins_id_seq'))")
    live.sql("SELECT setval('admins_id_seq', 40)")
    extracting.run("users", swap=True)
    assert live.sql("INSERT INTO users DEFAULT VALUES RETURNING id", "SELECT count(*) FROM admins") == "41\n0"


PLAIN = "CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';"
BY_SQL = f"{PLAIN} CREATE FUNCTION f(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT plain($1)';"
BY_PLPGSQL = (
    f"{PLAIN} CREATE FUNCTION f(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain($1); END';"
)
BY_TABLE = """CREATE TABLE kinds (k text); INSERT INTO kinds VALUES ('a');
CREATE FUNCTION f(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN EXISTS (SELECT FROM kinds WHERE k = $1); END';"""


@pytest.mark.parametrize(
    "setup",
    [
        f"{BY_SQL} CREATE TABLE users (id int, v text); CREATE INDEX found ON users (f(v))",
        f"{BY_TABLE} CREATE TABLE users (id int, v text CHECK (f(v)))",
        f"{BY_PLPGSQL} CREATE TABLE users (id int, v text, g text GENERATED ALWAYS AS (f(v)) STORED)",
        f"{BY_TABLE} CREATE DOMAIN kind AS text CHECK (f(VALUE)); CREATE TABLE users (id int, v kind)",
    ],
)
def test_functions_that_find_others_by_search_path_find_them(
    extracting: Extracting, both: Servers, live: Server, setup: str
) -> None:
    """X8. The load failed after the whole recovery, and did so again."""
    both.both(setup, "INSERT INTO users (id, v) VALUES (1, 'a')")
    assert any("public.f(text)" in warning for warning in extracting.decide("users").warnings)
    live.sql("DROP TABLE users")
    extracting.run("users", swap=True)
    assert live.sql("SELECT id, v FROM users") == "1|a"


IN_UTIL = (
    "CREATE SCHEMA util",
    "CREATE FUNCTION util.plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)'",
)


def test_the_search_path_is_that_of_the_tables_owner(extracting: Extracting, both: Servers, live: Server) -> None:
    """X8."""
    both.both(
        *IN_UTIL, "CREATE ROLE app", "ALTER ROLE app SET search_path = util, public; GRANT USAGE ON SCHEMA util TO app"
    )
    both.both(
        "SET search_path = util, public;"
        " CREATE FUNCTION public.f(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT plain($1)';"
        " CREATE TABLE public.users (id int, v text);"
        " INSERT INTO users VALUES (1, 'A'); CREATE INDEX found ON public.users (f(v)); ALTER TABLE users OWNER TO app",
    )
    extracting.run("users")
    assert live.sql("SET search_path = util, public", f"SELECT v FROM {RECOVERED}") == "A"


def test_a_function_that_still_finds_nothing_is_named_for_what_it_is(
    extracting: Extracting, both: Servers, live: Server
) -> None:
    """X8. The remedy spoke of a missing type, function or role."""
    both.both(
        *IN_UTIL,
        "CREATE FUNCTION f(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain($1); END'",
        "SET search_path = util, public; CREATE TABLE public.users (id int, v text);"
        " INSERT INTO users VALUES (1, 'A'); CREATE INDEX found ON public.users (f(v))",
    )
    failed = extracting.failure("users")
    assert failed.code == "load-failed"
    assert "ALTER FUNCTION" in failed.remedy
    # AND that remedy is one
    live.sql("ALTER FUNCTION f SET search_path = util")
    extracting.run("users")
    assert live.sql(f"SELECT v FROM {RECOVERED}") == "A"


@pytest.mark.parametrize(
    "body", ["INSERT INTO ddl_log VALUES (tg_tag)", "RAISE EXCEPTION 'DDL is locked, use the pipeline'"]
)
def test_event_triggers_and_a_read_only_default_stop_nothing(
    extracting: Extracting, both: Servers, live: Server, body: str
) -> None:
    """X8. They failed in the scratch Cluster already, or forbade what the operator had agreed to."""
    orders = "CREATE TABLE orders (id int PRIMARY KEY, u int CONSTRAINT to_users REFERENCES users)"
    both.both(USERS, ROWS, orders, "CREATE TABLE ddl_log (tag text)", "INSERT INTO orders VALUES (1, 1)")
    both.both(
        f"CREATE FUNCTION log() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {body}; END $$",
        "CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION log()",
    )
    live.sql("DELETE FROM orders", "DELETE FROM users", "ALTER DATABASE shop SET default_transaction_read_only = on")
    assert any("Event triggers do not run" in w and "audit" in w for w in extracting.decide("users").warnings)
    report = extracting.run("users", swap=True)
    assert report.extracted.faults == ()
    assert live.sql("SELECT count(*) FROM users", "SELECT count(*) FROM ddl_log") == "50\n0"
    assert live.sql("SELECT convalidated FROM pg_constraint WHERE conname = 'to_users'") == "t"
    assert live.sql("SELECT evtenabled FROM pg_event_trigger") == "O"


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (
            "ALTER TABLE users ADD verified bool; CREATE VIEW v AS SELECT id, verified FROM users",
            "view public.v uses the column verified, which was not there at the target",
        ),
        (
            "ALTER TABLE users ALTER email TYPE varchar(80); CREATE VIEW v AS SELECT email FROM users",
            "view public.v uses the column email, which was of type text at the target",
        ),
        (
            "ALTER TABLE users ADD UNIQUE (email); CREATE TABLE o (e text CONSTRAINT k REFERENCES users (email))",
            "foreign key k of public.o needs a unique index over (email), which was not there at the target",
        ),
    ],
)
def test_a_swap_that_would_fail_in_its_last_step_is_refused_before_anything_is_loaded(
    extracting: Extracting, both: Servers, live: Server, since: str, why: str
) -> None:
    """X9."""
    both.both(USERS, ROWS)
    live.sql(since)
    failed = extracting.failure("users", swap=True)
    assert failed.code == "swap-would-fail"
    assert why in failed.cause
    assert live.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'postgres_dr%'") == "0"


def test_a_foreign_key_of_a_partitioned_table_hinders_a_swap(extracting: Extracting, both: Servers) -> None:
    """X9 and E23. It is checked at once: the swap failed by rows of after the target, or kept everybody waiting."""
    events = "CREATE TABLE events (u int CONSTRAINT k REFERENCES users) PARTITION BY LIST (u)"
    both.both(USERS, events)
    assert "foreign key k of public.events, which is partitioned" in refused(extracting, "users")


def test_a_partitioned_table_is_brought_back_with_all_it_had(
    extracting: Extracting, both: Servers, live: Server
) -> None:
    both.both(
        "CREATE TABLE countries (id int PRIMARY KEY)",
        "INSERT INTO countries VALUES (1)",
        "CREATE TABLE users (id int, d int, c int REFERENCES countries, up int, at int,"
        " PRIMARY KEY (id, d), FOREIGN KEY (up, at) REFERENCES users) PARTITION BY RANGE (d)",
        "CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (1) TO (10) PARTITION BY LIST (id)",
        "CREATE TABLE users_1_1 PARTITION OF users_1 FOR VALUES IN (1, 2)",
        "CREATE INDEX own ON users_1_1 (d)",
        "INSERT INTO users VALUES (1, 2, 1, NULL, NULL), (2, 2, 1, 1, 2)",
    )
    extracting.run("users")
    assert live.sql(f"SELECT count(*) FROM {RECOVERED}") == "2"
    live.sql("DROP TABLE users")
    extracting.run("users", swap=True)
    assert live.sql("SELECT count(*) FROM users", "SELECT count(*) FROM pg_class WHERE relpersistence = 'u'") == "2\n0"
    assert live.sql("SELECT conrelid::regclass FROM pg_constraint WHERE contype = 'f' AND conparentid = 0") == (
        f"{RECOVERED}\nusers\nusers"
    )


def test_a_swap_has_one_deadline_for_all_its_locks(live: Server) -> None:
    """E23. Each lock had 3 s of its own, while the first one was held."""
    left = live.sql(
        "BEGIN; SELECT FROM pg_sleep(1)",
        _DEADLINE,
        "SELECT setting::int < 2100 FROM pg_settings WHERE name = 'lock_timeout'",
    )
    assert left.splitlines()[-1] == "t"


def test_what_somebody_holds_is_not_waited_for_again_and_again(
    extracting: Extracting, both: Servers, live: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E23. A table that refers to it is under a long report; the swap gives up, and nothing has happened."""
    both.both(USERS, ROWS, "CREATE TABLE orders (u int CONSTRAINT to_users REFERENCES users)")
    monkeypatch.setattr("dr.extract.steps._LOCK_TRIES", 2)
    hold = ["psql", "-XqAt", "-d", "shop", "-c", "BEGIN; LOCK orders IN ACCESS SHARE MODE; SELECT pg_sleep(600)"]
    with subprocess.Popen(hold, env=live.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as holder:
        try:
            wait_for(lambda: live.sql("SELECT 1 FROM pg_locks WHERE relation = 'orders'::regclass AND granted"))
            assert extracting.failure("users", swap=True).code == "table-locked"
        finally:
            holder.kill()
            live.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK orders%'")
    extracting.run("users", swap=True)
    assert live.sql(f"SELECT count(*) FROM {KEPT}") == "50"
