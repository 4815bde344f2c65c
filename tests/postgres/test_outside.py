"""What acts on the outside, as the server says it."""

import pytest

from dr.postgres.outside import Outside, read_outside


def test_it_is_read_by_name() -> None:
    answer = '{"subscriptions" : ["feed"], "slots" : ["cdc", "other"], "prepared" : []}'
    assert read_outside(answer) == Outside(subscriptions=("feed",), slots=("cdc", "other"))


@pytest.mark.parametrize("answer", ["", "ERROR", "{"])
def test_what_is_no_answer_is_an_error(answer: str) -> None:
    with pytest.raises(ValueError):
        read_outside(answer)
