"""Names that CloudNativePG takes, and names that are free."""

import pytest

from dr.config.names import cluster_name_fault, free_name
from dr.core.errors import RequestError
from tests.support.builders import a_request


@pytest.mark.parametrize("name", ["a", "postgres-prod", "p" * 50, "a1-2"])
def test_a_dns_label_of_up_to_50_characters_is_a_cluster_name(name: str) -> None:
    assert cluster_name_fault(name) is None


@pytest.mark.parametrize("name", ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a b", "a\n", "ä"])
def test_what_is_no_dns_label_is_no_cluster_name(name: str) -> None:
    assert "no DNS label" in (cluster_name_fault(name) or "")


def test_51_characters_are_refused_with_their_number_and_the_limit() -> None:
    fault = cluster_name_fault("p" * 51) or ""
    assert "51" in fault
    assert "50" in fault


def test_a_request_for_an_impossible_name_is_refused_at_once() -> None:
    with pytest.raises(RequestError) as refused:
        a_request(recovered_name="p" * 51)
    assert refused.value.code == "name-impossible"
    assert "--recovered-name" in refused.value.remedy


def test_a_name_that_nobody_has_is_kept() -> None:
    assert free_name("recovered", {"other"}) == "recovered"


def test_a_taken_name_gets_the_first_free_number() -> None:
    assert free_name("recovered", {"recovered", "recovered-2", "recovered-4"}) == "recovered-3"


def test_a_long_name_makes_room_for_its_number() -> None:
    name = free_name("p" * 50, {"p" * 50})
    assert name == "p" * 48 + "-2"
    assert cluster_name_fault(name) is None


def test_no_hyphen_is_doubled_where_a_long_name_is_cut() -> None:
    wanted = "p" * 47 + "-ab"
    assert free_name(wanted, {wanted}) == "p" * 47 + "-2"
