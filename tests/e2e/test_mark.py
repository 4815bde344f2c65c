"""A named restore point is not made while somebody else is at work; the way back to one is in test_both_stores.py."""

import pytest

from tests.e2e.cli_runner import CliRunner

pytestmark = pytest.mark.long


def test_while_another_operator_is_at_work_no_mark_is_made(dev: CliRunner) -> None:
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
