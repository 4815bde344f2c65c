"""Nobody knows when the table was dropped: it is found out, exactly."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.e2e.cli_runner import CliRunner, Outcome
from tests.support.waiting import stopwatch, wait_for

pytestmark = pytest.mark.long


def _look(runner: CliRunner, table: str) -> Outcome:
    return runner.dr("pitr", "--env", runner.env, "--before-drop", table, "--dry-run")


def _sql(runner: CliRunner, *statements: str) -> str:
    return runner.psql(runner.source, "; ".join(statements))


def _dropped_by(outcome: Outcome) -> int:
    assert outcome.code == 0, outcome
    found = re.search(r"by transaction (\d+),", outcome.document["plan"]["facts"]["Dropped"])
    assert found, outcome.document
    return int(found[1])


def test_all_that_was_committed_before_the_drop_is_there_and_nothing_after_it(clean_dev: CliRunner) -> None:
    # GIVEN a row that is committed right before the drop, and others right after it and by the workloads all the time
    before, dropped, after = (
        int(line)
        for line in clean_dev.psql_lines(
            clean_dev.source,
            "CREATE TABLE entries AS SELECT generate_series(1, 1000) AS id",
            "INSERT INTO jobs (worker) VALUES ('just before') RETURNING txid_current()",
            "BEGIN; SAVEPOINT once; DROP TABLE entries CASCADE; ROLLBACK TO once; DROP TABLE entries CASCADE;"
            " SELECT txid_current(); COMMIT",
            "INSERT INTO jobs (worker) VALUES ('just after') RETURNING txid_current()",
        )
    )
    assert before < dropped < after
    # WHEN
    took = stopwatch()
    outcome = clean_dev.dr("pitr", "--env", "dev", "--before-drop", "public.entries", "--yes")
    whole = took()
    # THEN
    assert outcome.code == 0, outcome
    rows = clean_dev.psql(clean_dev.recovered, "SELECT string_agg(worker, ',') FROM jobs WHERE worker LIKE 'just%'")
    assert rows == "just before"
    findings = {one["name"]: one for one in outcome.document["verification"]}
    assert (findings["public.entries"]["passed"], findings["public.entries"]["value"]) == (True, "1,000 rows")
    # The savepoint's rollback is the last that was replayed; it is in the WAL before the commit of the drop.
    assert findings["last transaction"]["passed"] is not False
    print(f"from the command to verified: {whole}, of which CloudNativePG {outcome.document['clusterSeconds']} s")


def test_the_drop_is_found_whatever_way_the_table_went(dev: CliRunner) -> None:
    # GIVEN a table that was dropped, made anew and dropped again, and one that went with its schema
    first, second = (
        int(line)
        for line in dev.psql_lines(
            dev.source,
            "CREATE TABLE twice (id int)",
            "BEGIN; DROP TABLE twice; SELECT txid_current(); COMMIT",
            "CREATE TABLE twice (id int)",
            "BEGIN; DROP TABLE twice; SELECT txid_current(); COMMIT",
        )
    )
    (schema,) = dev.psql_lines(
        dev.source,
        "CREATE SCHEMA shop CREATE TABLE goods (id int)",
        "BEGIN; DROP SCHEMA shop CASCADE; SELECT txid_current(); COMMIT",
    )
    # THEN it is the last drop that is gone back before, and the earlier one is told
    looked = _look(dev, "twice")
    assert first < second == _dropped_by(looked)
    assert "an earlier one of that name" in looked.document["plan"]["facts"]["Dropped"]
    assert _dropped_by(_look(dev, "shop.goods")) == int(schema)


def test_a_table_that_is_there_or_never_was_is_no_drop(dev: CliRunner) -> None:
    dev.psql_lines(
        dev.source,
        "CREATE TABLE old_name (id int)",
        "ALTER TABLE old_name RENAME TO new_name",
        "TRUNCATE new_name",
        "BEGIN; DROP TABLE new_name; ROLLBACK",
    )
    renamed = _look(dev, "old_name")
    assert renamed.problem_codes == ["table-renamed"]
    assert "new_name" in renamed.document["problems"][0]["cause"]
    assert _look(dev, "new_name").problem_codes == ["table-exists"]
    dev.psql_lines(dev.source, "DROP TABLE new_name")
    assert _look(dev, "new_name").code == 0


def keep_wal(runner: CliRunner, size: str | None) -> None:
    """How much WAL the server keeps beyond what it needs itself; None as before."""
    changed = json.dumps({"spec": {"postgresql": {"parameters": {"wal_keep_size": size}}}})
    runner.kubectl("patch", "cluster", runner.source, "-n", "data", "--type=merge", "-p", changed)


@pytest.fixture
def forgetful_dev(dev: CliRunner) -> Iterator[CliRunner]:
    """Dev with a server that keeps no more WAL than it has to."""
    keep_wal(dev, "0MB")
    wait_for(lambda: _sql(dev, "SHOW wal_keep_size") == "0")
    yield dev
    keep_wal(dev, None)


def test_a_drop_that_is_older_than_the_wal_on_the_server_is_found_in_the_archive(forgetful_dev: CliRunner) -> None:
    # GIVEN a drop whose segment is not on the server any more; its trace is, as there is room in the catalog
    runner = forgetful_dev
    before, dropped, segment = runner.psql_lines(
        runner.source,
        "VACUUM FULL pg_class",
        "CREATE TABLE ancient (id int)",
        "INSERT INTO jobs (worker) VALUES ('just before') RETURNING txid_current()",
        "BEGIN; DROP TABLE ancient; SELECT txid_current(); COMMIT",
        "SELECT pg_walfile_name(pg_current_wal_lsn())",
    )

    def forgotten() -> bool:
        runner.psql_lines(runner.source, "SELECT pg_current_xact_id()", "SELECT pg_switch_wal()", "CHECKPOINT")
        return _sql(runner, f"SELECT count(*) FROM pg_ls_waldir() WHERE name = '{segment}'") == "0"

    wait_for(forgotten)
    # WHEN
    looked = _look(runner, "ancient")
    # THEN it is told all the same, with the last transaction before it, and nothing is left in the pod
    assert _dropped_by(looked) == int(dropped)
    facts = looked.document["plan"]["facts"]
    assert "of the archived WAL" in facts["Dropped"]
    assert f"transaction {before}," in facts["Last kept"]
    assert runner.in_pod(f"{runner.source}-1", "sh", "-c", "ls $TMPDIR").stdout == ""
    print(f"\n{facts['Dropped']}; {facts['Left out']}")
    # AND once the trace is gone as well, it is offered
    runner.psql_lines(runner.source, "VACUUM pg_class", "CHECKPOINT")
    uncertain = _look(runner, "ancient")
    assert uncertain.problem_codes == ["drop-uncertain"]
    assert f"# transaction {dropped}," in uncertain.document["problems"][0]["remedy"]


def test_when_a_vacuum_took_the_trace_away_the_candidates_are_told(dev: CliRunner) -> None:
    # GIVEN
    (dropped,) = dev.psql_lines(
        dev.source,
        "CREATE TABLE vanished (id int)",
        "BEGIN; DROP TABLE vanished; SELECT txid_current(); COMMIT",
        "VACUUM pg_class",
        "CHECKPOINT",
    )
    # WHEN
    outcome = _look(dev, "vanished")
    # THEN
    assert outcome.problem_codes == ["drop-uncertain"]
    remedy = outcome.document["problems"][0]["remedy"]
    assert f"# transaction {dropped}," in remedy
    assert "--exclusive --expect-table public.vanished" in remedy
