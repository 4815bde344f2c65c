"""A named restore point before a risky change, and the way back to it."""

import shlex

import pytest

from tests.e2e.operator_seat import Seat

pytestmark = pytest.mark.long
NAME = "before migration 42"


def test_the_printed_command_comes_back_to_the_mark(clean_dev: Seat) -> None:
    # GIVEN a mark between two rows
    clean_dev.psql(clean_dev.source, "INSERT INTO jobs (worker) VALUES ('before the mark')")
    made = clean_dev.dr("mark", NAME, "--env", "dev")
    clean_dev.psql(clean_dev.source, "INSERT INTO jobs (worker) VALUES ('after the mark')")
    assert made.code == 0, made
    (mark,) = made.document["marks"]
    assert mark["archived"] is True
    # THEN it is kept in the record, with the command
    listed = clean_dev.dr("mark", "--list", "--env", "dev").document["marks"]
    assert mark in listed
    # AND its name cannot be used again
    again = clean_dev.dr("mark", NAME, "--env", "dev")
    assert (again.code, again.problem_codes) == (4, ["mark-exists"])
    # WHEN the command is given
    words = shlex.split(mark["command"])
    assert words[:3] == ["python", "-m", "dr"]
    outcome = clean_dev.dr(*words[3:], "--yes")
    # THEN
    assert outcome.code == 0, outcome
    rows = clean_dev.psql(
        clean_dev.recovered, "SELECT string_agg(DISTINCT worker, ',') FROM jobs WHERE worker ~ ' the mark$'"
    )
    assert rows == "before the mark"


def test_while_another_operator_is_at_work_no_mark_is_made(dev: Seat) -> None:
    # GIVEN a lease that somebody on another machine renewed just now
    lease = (
        '{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"postgres-dr-dev","namespace":"data"},'
        '"spec":{"holderIdentity":"ann@elsewhere (process 1)","leaseDurationSeconds":15,'
        f'"renewTime":"{dev.database_time().split("+")[0]}Z"}}}}'
    )
    dev.kubectl("delete", "lease", "postgres-dr-dev", "-n", "data", "--ignore-not-found")
    dev.apply(lease)
    try:
        outcome = dev.dr("mark", "too soon", "--env", "dev")
    finally:
        dev.kubectl("delete", "lease", "postgres-dr-dev", "-n", "data")
    # THEN
    assert outcome.problem_codes in (["another-operator"], ["lease-stale"])
    assert "too soon" not in str(dev.dr("mark", "--list", "--env", "dev").document)
