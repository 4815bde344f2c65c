"""An archived WAL segment that cannot be replayed is found before anything is touched, by all that look at the archive.

PostgreSQL takes it for the end of the WAL: in a recovery without a target all later rows are missing, without an error.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e import lab_bucket
from tests.e2e.cli_runner import CliRunner, Outcome

CRITICAL, REFUSED = 2, 4
ROWS = 10
ROW = "INSERT INTO jobs (worker) VALUES ('one segment')"
WRITTEN = "SELECT count(*) FROM jobs WHERE worker = 'one segment'"


@pytest.fixture
def segments(clean_dev: CliRunner) -> list[str]:
    """The archived segments with one row each, in order."""
    clean_dev.psql(clean_dev.source, "DELETE FROM jobs WHERE worker = 'one segment'")
    asked = [script for _ in range(ROWS) for script in (ROW, "SELECT pg_walfile_name(pg_switch_wal())")]
    written = clean_dev.psql_lines(clean_dev.source, *asked)
    clean_dev.await_archived(written[-1])
    return written


@contextmanager
def damaged(runner: CliRunner, segment: str, how: str) -> Iterator[None]:
    """The segment's object cut in half, or with the first page of another database's; as it was afterwards."""
    path = lab_bucket.folder(runner.env, runner.source, "wals", segment[:16], segment)
    whole = path.read_bytes()
    stranger = whole[:24] + struct.pack("<Q", 7) + whole[32:]
    with lab_bucket.replaced(path, whole[: len(whole) // 2] if how == "cut" else stranger):
        yield


def _refusal(outcome: Outcome) -> str:
    assert outcome.code == REFUSED, outcome
    (problem,) = outcome.document["problems"]
    assert problem["code"] == "wal-unreadable"
    return str(problem["cause"])


@pytest.mark.parametrize(("how", "why"), [("cut", "8,388,608 bytes"), ("another's", "system identifier is 7")])
def test_it_is_named_by_all_that_look_and_nothing_is_touched(
    clean_dev: CliRunner, segments: list[str], how: str, why: str
) -> None:
    """E1."""
    bad = segments[-4]
    before = clean_dev.footprint()
    with damaged(clean_dev, bad, how):
        # THEN the window ends before it, and says why
        (archive,) = clean_dev.dr("window", "--env", "dev", "--server-name", clean_dev.source).document["archives"]
        (found,) = archive["unreadable"]
        assert (found["segment"], why in found["why"]) == (bad, True)
        assert archive["windows"][-1]["to"]["segment"] == f"{int(bad, 16) - 1:024X}"
        # AND health is critical
        health = clean_dev.dr("health", "--env", "dev")
        assert health.code == CRITICAL
        told = {check["name"]: check for check in health.document["environments"][0]["checks"]}
        for name in ("wal-readable", "wal-holes"):
            assert told[name]["state"] == "critical"
            assert bad in told[name]["seen"]
        # AND all that was committed cannot be had, in a drill neither
        for command in (["latest", "--yes"], ["drill", "--latest", "--dry-run"]):
            refusal = _refusal(clean_dev.dr(*command, "--env", "dev"))
            assert bad in refusal
            assert why in refusal
    assert clean_dev.footprint() == before
    # AND once it is whole again nothing is said
    assert clean_dev.health()["wal-readable"] == "ok"
    assert clean_dev.dr("latest", "--env", "dev", "--dry-run").code == 0


@pytest.mark.long
def test_what_comes_before_it_is_recovered_where_that_is_accepted(clean_dev: CliRunner, segments: list[str]) -> None:
    """E1."""
    override = f"target-outside={clean_dev.recovered}"
    with damaged(clean_dev, segments[-4], "cut"):
        outcome = clean_dev.dr("latest", "--env", "dev", "--yes", "--override", override)
    assert outcome.code == 0, outcome
    assert int(clean_dev.psql(clean_dev.recovered, WRITTEN)) == ROWS - 4
