"""Names that CloudNativePG takes, and names that are free."""

import pytest

from dr.config.names import (
    RECOVERED_NAME_LIMIT,
    SNAPSHOT_NAME_LIMIT,
    cluster_name_fault,
    free_name,
    possible_names,
    recovered_name_fault,
)
from dr.core.errors import RequestError
from tests.support.builders import a_request


@pytest.mark.parametrize("name", ["a", "postgres-prod", "p" * 50, "a1-2"])
def test_a_dns_label_of_up_to_50_characters_is_a_cluster_name(name: str) -> None:
    assert cluster_name_fault(name) is None


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "ä"])
def test_what_is_no_dns_label_is_no_cluster_name(name: str) -> None:
    assert "not a valid DNS label" in (cluster_name_fault(name) or "")


def test_51_characters_are_refused_with_their_number_and_the_limit() -> None:
    fault = cluster_name_fault("p" * 51) or ""
    assert "51" in fault
    assert "50" in fault


def test_a_request_for_an_impossible_name_is_refused_at_once() -> None:
    """E34: the Job is ``<name>-1-full-recovery``, and has at most 63 characters."""
    with pytest.raises(RequestError) as refused:
        a_request(recovered_name="p" * 48)
    assert refused.value.code == "name-impossible"
    assert "--recovered-name" in refused.value.remedy


def test_a_name_that_nobody_has_is_kept() -> None:
    assert free_name("recovered", {"other"}) == "recovered"


def test_a_taken_name_gets_the_first_free_number() -> None:
    assert free_name("recovered", {"recovered", "recovered-2", "recovered-4"}) == "recovered-3"


def test_a_long_name_makes_room_for_its_number() -> None:
    name = free_name("p" * 50, {"p" * 50})
    assert name == "p" * 41 + "-2"
    assert cluster_name_fault(name) is None


def test_no_hyphen_is_doubled_where_a_long_name_is_cut() -> None:
    wanted = "p" * 40 + "-ab"
    assert free_name(wanted, {wanted}) == "p" * 40 + "-2"


@pytest.mark.parametrize(("job", "limit"), [("full-recovery", 47), ("snapshot-recovery", 43)])
def test_the_limit_follows_from_the_longest_name_that_is_made_of_it(job: str, limit: int) -> None:
    """E34."""
    assert recovered_name_fault("p" * limit, limit=limit) is None
    assert recovered_name_fault("p" * (limit + 1), limit=limit) is not None
    assert len("p" * limit + f"-1-{job}") == 63
    assert {47: RECOVERED_NAME_LIMIT, 43: SNAPSHOT_NAME_LIMIT}[limit] == limit


def test_every_name_that_an_environment_may_get_can_be_recovered() -> None:
    """E34."""
    names = possible_names("p" * 50, "r" * 47, generations=12)
    assert all(len(name) <= SNAPSHOT_NAME_LIMIT for name in names[2:])
