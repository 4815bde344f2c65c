"""Who holds a lock, and whether they are still heard of."""

from datetime import timedelta

import pytest

from dr.core.history import Holder
from tests.support.builders import NOW, a_holder, a_lease


def test_a_holder_reads_back_from_what_is_written_into_the_lease() -> None:
    assert str(a_holder()) == "ann@ops-1:7"
    assert Holder.parse(str(a_holder())) == a_holder()


def test_a_user_name_may_hold_an_at_sign() -> None:
    holder = Holder(user="ann@acme.test", host="ops-1", pid=7)
    assert Holder.parse(str(holder)) == holder


def test_the_operator_is_the_person_and_the_machine() -> None:
    assert a_holder().operator == "ann@ops-1"


@pytest.mark.parametrize("text", ["", "ann", "ann@ops-1", "ann@ops-1:", "ann@ops-1:x", "@ops-1:7", "ann@:7", "ops-1:7"])
def test_what_another_program_wrote_names_no_holder(text: str) -> None:
    assert Holder.parse(text) is None


@pytest.mark.parametrize(("later", "expired"), [(0, False), (15, False), (16, True)])
def test_a_lease_expires_when_its_duration_is_over(later: int, expired: bool) -> None:
    assert a_lease().expired(NOW + timedelta(seconds=later)) is expired


def test_a_lease_that_a_faster_clock_renewed_has_not_expired() -> None:
    assert not a_lease(renewed=NOW + timedelta(minutes=5)).expired(NOW)


def test_a_lease_that_nobody_holds_or_ever_renewed_has_expired() -> None:
    assert a_lease(holder="").expired(NOW)
    assert a_lease(renewed=None).expired(NOW)
