"""What is remembered between runs."""

import pytest
from pydantic import ValidationError

from dr.core.history import Outcome
from dr.run.record import Record
from dr.stacks.declaration import Declaration
from tests.support.builders import NOW, RECOVERED_HOST, a_record, a_recovered, an_entry


def test_counts_survive_a_second_run_that_sees_the_workloads_stopped() -> None:
    first = a_record().with_replicas({"api": 3, "worker": 5})
    assert first.with_replicas({"api": 0, "worker": 0}).replicas == {"api": 3, "worker": 5}


def test_a_count_that_changed_is_remembered_anew() -> None:
    assert a_record(replicas={"api": 3, "worker": 5}).with_replicas({"api": 4, "worker": 0}).replicas == {
        "api": 4,
        "worker": 5,
    }


def test_a_workload_that_was_never_seen_running_has_no_count() -> None:
    assert a_record().with_replicas({"api": 0}).replicas == {}


def test_several_recoveries_stay_declared_oldest_first() -> None:
    record = a_record(a_recovered("one"), a_recovered("two"))
    assert [recovery.cluster.name for recovery in record.recoveries] == ["one", "two"]


def test_a_recovery_takes_the_place_of_the_one_of_its_name() -> None:
    record = a_record(a_recovered("one"), a_recovered("two"), a_recovered("one", server_name="one-2"))
    assert [(r.cluster.name, r.cluster.server_name) for r in record.recoveries] == [("two", "two"), ("one", "one-2")]


def test_what_is_known_of_a_cluster_is_not_known_of_the_next_one_of_its_name() -> None:
    record = a_record(a_recovered("one")).with_verified("one", 7).with_fenced("one", fenced=True)
    again = record.with_recovery(a_recovered("one"))
    assert (again.verified, again.fenced) == ({"one": 7}, ("one",)), "the same one, gone on with"
    another = record.with_recovery(a_recovered("one", server_name="one-2"))
    assert (another.verified, another.fenced) == ({}, ())


def test_the_declaration_comes_back_as_it_was_through_json() -> None:
    record = a_record(a_recovered("one"), replicas={"api": 3})
    again = Record.model_validate_json(record.model_dump_json())
    assert again == record
    assert again.recovery("one") == a_recovered("one")


def test_a_recovery_that_was_not_declared_is_none() -> None:
    assert a_record(a_recovered("one")).recovery("two") is None


def test_a_record_of_a_newer_version_is_refused_rather_than_cut_down() -> None:
    text = a_record().model_dump_json().replace('"replicas"', '"novelty": 1, "replicas"')
    with pytest.raises(ValidationError):
        Record.model_validate_json(text)


def test_only_clusters_that_are_there_stay_declared() -> None:
    record = a_record(a_recovered("one"), a_recovered("two")).pointing_to(RECOVERED_HOST)
    assert record.declaration({"two", "postgres-prod"}) == Declaration(
        clusters=(a_recovered("two"),), external_name=RECOVERED_HOST
    )


def test_before_a_first_switchover_the_service_is_not_declared() -> None:
    assert a_record(a_recovered("one")).declaration({"one"}).external_name is None


def test_leaving_a_place_remembers_it_for_the_way_back() -> None:
    record = a_record().leaving("a", towards="b").leaving("b", towards="c")
    assert record.came_from == ("a", "b")


@pytest.mark.parametrize("before", ["a", "b"], ids=["before the Service moved", "after it moved"])
def test_a_switchover_that_is_repeated_is_remembered_once(before: str) -> None:
    assert a_record().leaving("a", towards="b").leaving(before, towards="b").came_from == ("a",)


def test_coming_back_forgets_only_the_newest_departure() -> None:
    record = a_record().leaving("a", towards="b").leaving("b", towards="c")
    assert record.came_back("b").came_from == ("a",)
    assert record.came_back("b").came_back("a").came_from == ()


def test_coming_back_twice_forgets_nothing_more() -> None:
    assert a_record().leaving("a", towards="b").leaving("b", towards="c").came_back("b").came_back("b").came_from == (
        "a",
    )
    assert a_record().came_back("a").came_from == ()


def test_what_was_known_of_a_verified_cluster_first_is_kept() -> None:
    record = a_record().with_verified("one", 700).with_verified("one", 900).with_verified("two", 5)
    assert record.verified == {"one": 700, "two": 5}


def test_a_cluster_is_fenced_once_and_let_go_wholly() -> None:
    record = a_record().with_fenced("one", fenced=True).with_fenced("two", fenced=True).with_fenced("one", fenced=True)
    assert sorted(record.fenced) == ["one", "two"]
    assert record.with_fenced("one", fenced=False).fenced == ("two",)
    assert a_record().with_fenced("one", fenced=False).fenced == ()


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED])
def test_the_newest_operation_is_unfinished_until_it_is_done(outcome: Outcome) -> None:
    entry = an_entry().over(outcome, NOW)
    assert a_record().with_operation(entry).unfinished == entry


def test_an_operation_that_is_done_leaves_nothing_unfinished_of_those_before_it() -> None:
    failed, done = an_entry("switchover").over(Outcome.FAILED, NOW), an_entry("rollback").over(Outcome.DONE, NOW)
    assert a_record().with_operation(failed).with_operation(done).unfinished is None


def test_without_an_operation_nothing_is_unfinished() -> None:
    assert a_record().unfinished is None


def test_a_record_with_everything_comes_back_through_json() -> None:
    record = (
        a_record(a_recovered("one"))
        .leaving("a", towards="b")
        .pointing_to("b")
        .with_verified("one", 7)
        .with_fenced("postgres-prod", fenced=True)
        .with_operation(an_entry().step_started("fence", NOW).over(Outcome.FAILED, NOW, "why"))
    )
    assert Record.model_validate_json(record.model_dump_json()) == record
