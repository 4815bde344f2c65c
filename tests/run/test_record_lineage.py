"""Where a recovery comes from and what it is called, over generations."""

import pytest

from dr.config.names import PURPOSES, possible_names, scratch_name
from dr.core.errors import RefusedError
from dr.run.record import recovered_name, source_of
from tests.support.builders import a_record, a_recovered, an_environment

ENVIRONMENT = an_environment()
RECORD = a_record(a_recovered())


def test_the_first_recovery_comes_from_the_configured_cluster() -> None:
    assert source_of(ENVIRONMENT, serving="postgres-prod", record=None) == "postgres-prod"
    assert recovered_name(ENVIRONMENT, source="postgres-prod", taken=["postgres-prod"]) == "postgres-prod-recovered"


def test_after_a_switchover_it_comes_from_the_cluster_that_serves() -> None:
    assert source_of(ENVIRONMENT, serving="postgres-prod-recovered", record=RECORD) == "postgres-prod-recovered"


def test_before_the_switchover_the_recovered_one_is_no_source() -> None:
    assert source_of(ENVIRONMENT, serving="postgres-prod", record=RECORD) == "postgres-prod"


def test_a_recovered_cluster_that_serves_is_the_source_though_no_record_says_so() -> None:
    """E10."""
    for serving in ("postgres-prod-recovered", "postgres-prod-recovered-2"):
        assert source_of(ENVIRONMENT, serving=serving, record=None) == serving


def test_what_serves_is_the_source_also_where_another_was_made_the_environments_own() -> None:
    """E10: the Service was moved back by hand."""
    closed = RECORD.closed("postgres-prod-recovered")
    assert source_of(ENVIRONMENT, serving="postgres-prod", record=closed) == "postgres-prod"
    assert source_of(ENVIRONMENT, serving="", record=closed) == "postgres-prod-recovered"


def test_where_the_service_leads_to_no_cluster_it_is_the_configured_one() -> None:
    assert source_of(ENVIRONMENT, serving="", record=RECORD) == "postgres-prod"


def test_a_cluster_that_is_not_ours_is_no_source_and_nor_is_a_stale_one_of_ours() -> None:
    """E10."""
    with pytest.raises(RefusedError) as refused:
        source_of(ENVIRONMENT, serving="somebody-elses", record=RECORD)
    (problem,) = refused.value.problems
    assert problem.code == "source-unknown"
    assert "--source somebody-elses" in problem.remedy


def test_later_generations_are_numbered_and_take_no_name_that_is_there() -> None:
    taken = ["postgres-prod", "postgres-prod-recovered", "postgres-prod-recovered-2"]
    assert recovered_name(ENVIRONMENT, source="postgres-prod-recovered", taken=taken) == "postgres-prod-recovered-3"


def test_the_first_generations_name_is_not_taken_again_by_the_second() -> None:
    name = recovered_name(ENVIRONMENT, source="postgres-prod-recovered", taken=[])
    assert name == "postgres-prod-recovered-2"


def test_the_names_that_may_come_are_those_that_come() -> None:
    # GIVEN what three recoveries in a row are called, one after the other
    taken = ["postgres-prod"]
    for _ in range(3):
        taken.append(recovered_name(ENVIRONMENT, source=taken[-1], taken=taken))
    # THEN they were known beforehand, with the scratch Clusters of each
    names = possible_names("postgres-prod", "postgres-prod-recovered", generations=3)
    assert names[:4] == tuple(taken)
    assert set(names[4:]) == {scratch_name(name, frozenset(taken), kind) for name in taken for kind in PURPOSES}


def test_a_long_name_stays_within_the_limit_in_every_generation() -> None:
    names = possible_names("p" * 50, "r" * 50, generations=12)
    assert len(set(names)) == len(names) >= 13
    assert max(map(len, names)) == 50
