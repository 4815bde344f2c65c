"""One table comes back into the live database, and everything else goes on as if nothing had happened."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome
from tests.support.waiting import HANG_SECONDS

pytestmark = pytest.mark.long

REFUSED, VERIFICATION = 4, 8
WAITS_FOR_MORE = "INSERT INTO ledger DEFAULT VALUES RETURNING id;\n"


def extract(runner: CliRunner, table: str, target: str, *arguments: str) -> Outcome:
    return runner.dr("extract", "--env", runner.env, "--table", table, "--target-time", target, *arguments, "--yes")


def nothing_is_left(runner: CliRunner) -> bool:
    """No scratch Cluster, nor anything that one owns."""
    found = runner.kubectl("get", "cluster,pvc,secret,pod,service", "-n", "data", "-o", "name")
    return "scratch" not in found


def jobs(runner: CliRunner) -> set[str]:
    """The Jobs that made a pod in the last hour, as the one that recovers a Cluster; they may be gone by now."""
    made = ("--field-selector", "involvedObject.kind=Job,reason=SuccessfulCreate")
    uids = "jsonpath={.items[*].involvedObject.uid}"
    return set(runner.kubectl("get", "events", "-n", "data", *made, "-o", uids).split())


def schemas(runner: CliRunner) -> str:
    return runner.psql(runner.source, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'postgres_dr%'")


@contextmanager
def writing(runner: CliRunner) -> Iterator[list[int]]:
    """A client that inserts into the table ``ledger`` without a pause. Gives what was acknowledged, as it comes."""
    words = ["exec", "-i", f"{runner.source}-1", "-n", "data", "-c", "postgres", "--", "psql", "-XqAtd", "tomoda"]
    acknowledged: list[int] = []
    over = Event()
    with subprocess.Popen(
        ["kubectl", "--context", f"lab-{runner.env}", *words],
        env={**os.environ, **runner.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def write() -> None:
            assert process.stdin
            assert process.stdout
            while not over.is_set():
                process.stdin.write(WAITS_FOR_MORE)
                process.stdin.flush()
                acknowledged.append(int(process.stdout.readline()))
            process.stdin.close()

        thread = Thread(target=write)
        thread.start()
        try:
            yield acknowledged
        finally:
            over.set()
            thread.join(HANG_SECONDS)
            try:
                process.wait(HANG_SECONDS)
            finally:
                process.kill()


@pytest.fixture(scope="module")
def with_tables(lab_variables: dict[str, str]) -> Iterator[CliRunner]:
    """Dev with a ledger that is written to, and with what hangs on ``users``: a foreign key, views, grants."""
    runner = CliRunner("dev", lab_variables, Path(lab_variables["DR_CONFIG_DIR"]))
    runner.psql(
        runner.source,
        """SET ROLE tomoda;
        CREATE TABLE ledger (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now());
        CREATE TABLE orders (id int PRIMARY KEY, user_id bigint CONSTRAINT orders_user REFERENCES users);
        INSERT INTO orders SELECT n, n FROM generate_series(1, 1000) n;
        CREATE VIEW emails WITH (security_barrier) AS SELECT id, email FROM users;
        CREATE MATERIALIZED VIEW domains AS SELECT split_part(email, '@', 2) AS domain, count(*) FROM emails GROUP BY 1;
        COMMENT ON TABLE users IS 'people; it''s theirs';
        GRANT SELECT ON users, emails TO pg_monitor;""",
    )
    yield runner
    runner.end_started()


def shape(runner: CliRunner) -> str:
    """What ``users`` is, but for its rows: by pg_dump, which knows all of it."""
    ran = runner.in_pod(
        f"{runner.source}-1",
        *("pg_dump", "-d", "tomoda", "--schema-only", "-t", "users", "-t", "emails", "-t", "domains", "-t", "orders"),
    )
    assert ran.returncode == 0, ran.stderr
    # The tokens of \restrict are made up each time.
    return "\n".join(line for line in ran.stdout.splitlines() if "restrict" not in line)


def test_a_dropped_table_is_brought_back_under_its_name_while_others_write(with_tables: CliRunner) -> None:
    # GIVEN a client that writes to another table, and users dropped with all that hangs on it
    runner = with_tables
    shape_before, replicas = shape(runner), runner.replicas()
    generation = (runner.cluster(runner.source) or {})["metadata"]["generation"]
    with writing(runner) as acknowledged:
        rows = int(runner.psql(runner.source, "SELECT count(*) FROM users"))
        target = runner.database_time()
        time.sleep(0.2)
        runner.psql(runner.source, "DROP TABLE users CASCADE")
        # WHEN it is extracted beside, and then swapped in
        written = [len(acknowledged)]
        beside = extract(runner, "users", target)
        written.append(len(acknowledged))
        swapped = extract(runner, "public.users", target, "--swap")
        written.append(len(acknowledged))

    # THEN beside it has the exact rows, and no foreign key
    assert beside.code == 0, beside
    assert beside.document["rows"] == rows
    recovered = beside.document["recoveredTable"]
    assert recovered.startswith("public.users_recovered_20")
    assert int(runner.psql(runner.source, f"SELECT count(*) FROM {recovered}")) == rows
    assert beside.document["compared"] == "number and checksum"
    # AND swapped in, it is what it was: indexes, sequences, owner, grants, comments, views, foreign keys
    assert swapped.code == 0, swapped
    assert (swapped.document["rows"], swapped.document["faults"]) == (rows, [])
    assert swapped.document["broughtBack"] == [
        "foreign key orders_user of public.orders",
        "view public.emails",
        "materialized view public.domains",
    ]
    assert shape(runner) == shape_before
    assert runner.psql(runner.source, "SELECT convalidated FROM pg_constraint WHERE conname = 'orders_user'") == "t"
    assert runner.psql(runner.source, "SELECT sum(count) FROM domains") == str(rows)
    place = "ST_SetSRID(ST_MakePoint(0, 0), 4326)"
    insert = f"INSERT INTO users (email, name, location) VALUES ('new@x', 'New', {place}) RETURNING id"
    assert int(runner.psql(runner.source, insert)) > rows
    # AND nobody who writes has noticed: not one row is missing, no writer was stopped, the Cluster is as it was
    assert written[0] < written[1] < written[2]
    assert int(runner.psql(runner.source, "SELECT count(*) FROM ledger")) == len(acknowledged)
    assert runner.replicas() == replicas
    assert (runner.cluster(runner.source) or {})["metadata"]["generation"] == generation
    # AND nothing is left of the scratch Clusters
    assert nothing_is_left(runner)
    assert schemas(runner) == "0"


def test_a_damaged_table_is_kept_and_what_uses_it_follows(with_tables: CliRunner) -> None:
    # GIVEN users with rows deleted and others added since, and a view and a foreign key on it
    runner = with_tables
    runner.psql(runner.source, "DROP MATERIALIZED VIEW domains")
    rows = int(runner.psql(runner.source, "SELECT count(*) FROM users"))
    target = runner.database_time()
    time.sleep(0.2)
    runner.psql(runner.source, "DELETE FROM orders")
    runner.psql(runner.source, "DELETE FROM users WHERE id % 2 = 0")
    place = "ST_SetSRID(ST_MakePoint(0, 0), 4326)"
    runner.psql(runner.source, f"INSERT INTO users (email, name, location) VALUES ('late@x', 'Late', {place})")
    given = int(runner.psql(runner.source, "SELECT max(id) FROM users"))
    runner.psql(runner.source, f"INSERT INTO orders VALUES (1, {given})")

    # WHEN
    outcome = extract(runner, "users", target, "--swap")

    # THEN the rows are back, what was there is kept, the view reads the new one, no number is given out twice
    assert outcome.code == 0, outcome
    kept = outcome.document["keptTable"]
    assert kept.startswith("public.users_before_20")
    assert int(runner.psql(runner.source, "SELECT count(*) FROM users")) == rows
    assert runner.psql(runner.source, f"SELECT count(*) FROM {kept} WHERE email = 'late@x'") == "1"
    assert int(runner.psql(runner.source, "SELECT count(*) FROM emails")) == rows
    insert = f"INSERT INTO users (email, name, location) VALUES ('next@x', 'Next', {place}) RETURNING id"
    assert int(runner.psql(runner.source, insert)) > given
    # AND the row that refers to what is not there any more is reported, with the foreign key there for all others
    assert ["orders_user" in fault for fault in outcome.document["faults"]] == [True]
    assert f"({given})" in outcome.document["faults"][0]
    refers = runner.psql(runner.source, "SELECT confrelid::regclass FROM pg_constraint WHERE conname = 'orders_user'")
    assert refers == "users"
    # AND again it is refused, as the name to keep the present one under is taken
    again = extract(runner, "users", target, "--swap")
    assert (again.code, again.problem_codes) == (REFUSED, ["recovered-table-exists"])
    assert nothing_is_left(runner)


@pytest.mark.parametrize("moment", ["recover", "load", "place", "remove-scratch"])
def test_a_killed_extraction_is_resumed_to_its_end(with_tables: CliRunner, moment: str) -> None:
    # GIVEN an extraction that is killed in a step
    runner = with_tables
    target, rows = runner.database_time(), runner.psql(runner.source, "SELECT count(*) FROM users")
    process = runner.start("extract", "--env", "dev", "--table", "users", "--target-time", target, "--yes")
    runner.await_step("extract", moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    status = runner.dr("status", "--env", "dev").document
    assert [advice["command"] for advice in status["next"]] == ["python -m dr resume --env dev"]

    # WHEN
    resumed = runner.dr("resume", "--env", "dev", "--yes")

    # THEN the table is there, whole, and once; nothing else is
    assert resumed.code == 0, resumed
    assert runner.psql(runner.source, f"SELECT count(*) FROM {resumed.document['recoveredTable']}") == rows
    assert nothing_is_left(runner)
    assert schemas(runner) == "0"
    assert runner.dr("status", "--env", "dev").document["operations"][-1]["outcome"] == "done"


def test_a_table_that_was_not_there_is_said_so_and_a_kept_scratch_cluster_serves_the_next_one(
    with_tables: CliRunner,
) -> None:
    runner = with_tables
    target = runner.database_time()

    # GIVEN a name that was none at the target
    missing = extract(runner, "public.nobody", target)
    assert (missing.code, missing.problem_codes) == (VERIFICATION, ["table-missing-at-target"])
    assert nothing_is_left(runner)

    # WHEN one table is extracted and its scratch Cluster kept, and another is wanted of the same moment
    first = extract(runner, "orders", target, "--keep-scratch")
    assert first.code == 0, first
    assert "foreign key orders_user of public.orders" in first.document["leftOut"][0]
    look, delete = first.document["scratchCommands"]
    assert runner.run(*shlex.split(look.replace(" -it ", " ")), "-XqAtc", r"SELECT count(*) FROM orders") != "0"
    recoveries = jobs(runner)
    second = extract(runner, "users", target)

    # THEN nothing is recovered again, and it is tidied up by the one that did not ask to keep it
    assert second.code == 0, second
    assert jobs(runner) <= recoveries
    assert "delete cluster postgres-dev-scratch" in delete
    assert nothing_is_left(runner)


def test_what_reads_the_wal_sees_nothing_of_a_load_and_a_published_table_is_not_swapped(with_tables: CliRunner) -> None:
    """X1. The load alone ended the worker of every subscriber of a publication for all tables."""
    runner = with_tables
    target = runner.database_time()
    runner.psql(runner.source, "CREATE PUBLICATION everything FOR ALL TABLES")
    runner.psql(runner.source, "SELECT pg_create_logical_replication_slot('everything', 'test_decoding')")
    try:
        told = extract(runner, "users", target, "--dry-run").document["plan"]["warnings"]
        assert any("everything takes in every table" in warning for warning in told)
        # WHEN
        beside = extract(runner, "users", target)
        runner.psql(runner.source, "INSERT INTO ledger DEFAULT VALUES")
        # THEN the rows are there, and only what others wrote is decoded: this test, and the lab's own worker
        assert beside.code == 0, beside
        changes = "SELECT data FROM pg_logical_slot_get_changes('everything', NULL, NULL) WHERE data LIKE 'table %'"
        decoded = runner.psql(runner.source, changes).splitlines()
        assert {line.split(":")[0] for line in decoded} - {"table public.jobs"} == {"table public.ledger"}
        recovered = beside.document["recoveredTable"]
        assert runner.psql(runner.source, f"SELECT count(*) FROM {recovered}") == str(beside.document["rows"])
        swapped = extract(runner, "users", target, "--swap")
        assert (swapped.code, swapped.problem_codes) == (REFUSED, ["table-has-dependents"])
    finally:
        runner.psql(runner.source, "SELECT pg_drop_replication_slot('everything')")
        runner.psql(runner.source, "DROP PUBLICATION everything")
    assert nothing_is_left(runner)


def test_what_cannot_be_is_refused_before_anything_is_touched(with_tables: CliRunner) -> None:
    runner = with_tables
    before, target = runner.footprint(), runner.database_time()
    cases = {
        "schema-missing": extract(runner, "nowhere.users", target),
        "source-missing": extract(runner, "users", target, "--source", "postgres-unknown"),
        "target-before-first-backup": extract(runner, "users", "2020-01-01T00:00:00Z"),
        "table-name-malformed": extract(runner, "users; DROP TABLE users", target),
        "confirmation-wrong": extract(runner, "users", target, "--confirm", "postgres-prod"),
    }
    assert {code: outcome.problem_codes for code, outcome in cases.items()} == {code: [code] for code in cases}
    with runner.no_more_volumes():
        refused = extract(runner, "users", target)
    assert (refused.code, refused.problem_codes) == (REFUSED, ["volume-refused"])
    assert json.dumps(runner.footprint()) == json.dumps(before)
