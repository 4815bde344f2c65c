"""The transactions that a recovery leaves out, in words."""

import pytest

from dr.core.target import LaterCommits
from tests.support.builders import TARGET, TARGET_TIME


@pytest.mark.parametrize(
    ("count", "complete", "told"),
    [
        (0, True, "no transaction"),
        (0, False, "no transaction in the WAL that is still on the server"),
        (1, True, f"1 transaction, the last at {TARGET}"),
        (12345, True, f"12,345 transactions, the last at {TARGET}"),
        (2, False, f"at least 2 transactions, the last at {TARGET}"),
        (1, False, f"at least 1 transaction, the last at {TARGET}"),
    ],
)
def test_the_count_is_told_with_how_sure_it_is(count: int, complete: bool, told: str) -> None:
    last = TARGET_TIME if count else None
    assert str(LaterCommits(count=count, last=last, complete=complete)) == told
