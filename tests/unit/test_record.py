"""What is remembered between runs."""

import pytest
from pydantic import ValidationError

from dr.model.record import Record
from tests.builders import a_record, a_recovered


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
