"""What was changed by hand in a Cluster that is declared."""

from dataclasses import replace
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.quiet import awake, quieted
from dr.cnpg.recovered import RecoveredCluster
from dr.switchover.manual_changes import as_they_are, differences, warning_of_changes
from tests.support.builders import a_move, a_record, a_recovered, a_source, a_traffic_situation, object_of

DECLARED = a_recovered()
LIVE = ClusterSnapshot.from_object(object_of(DECLARED))


@pytest.mark.parametrize(
    ("declared", "live", "found"),
    [
        ({"a": 1}, {"a": 1, "default": True}, []),
        ({"storage": {"size": "1Gi"}}, {"storage": {"size": "2Gi"}}, [("spec.storage.size", "2Gi", "1Gi")]),
        ({"a": {"b": 1}}, {}, [("spec.a", "not set", "{'b': 1}")]),
        ({"a": {}, "b": [], "c": ""}, {}, []),
        ({"l": [{"n": 1}]}, {"l": [{"n": 1, "enabled": True}]}, []),
        ({"l": [{"n": 1}]}, {"l": [{"n": 2}]}, [("spec.l[0].n", "2", "1")]),
        ({"l": [1]}, {"l": [1, 2]}, [("spec.l", "[1, 2]", "[1]")]),
        ({"a": 0}, {"a": 3}, [("spec.a", "3", "0")]),
    ],
)
def test_only_what_is_declared_is_compared(declared: Any, live: Any, found: list[tuple[str, str, str]]) -> None:
    """E21."""
    assert list(differences(declared, live, "spec")) == found


def test_a_switchovers_plan_names_what_is_kept() -> None:
    """E21."""
    changed = replace(LIVE, spec={**LIVE.spec, "instances": 9})
    (warning,) = (one for one in a_move(a_traffic_situation(new_cluster=changed)).warnings if "by hand" in one)
    assert f"spec.instances is 9, declared {LIVE.spec['instances']}" in warning


def test_what_is_as_declared_or_not_declared_is_not_warned_of() -> None:
    """E21."""
    assert list(warning_of_changes(LIVE, DECLARED)) == []
    assert list(warning_of_changes(LIVE, None)) == []
    assert not any("by hand" in one for one in a_move().warnings)


def test_parameters_that_keep_it_quiet_are_no_change_by_hand() -> None:
    """E21."""
    quiet = replace(DECLARED, manifest=quieted(DECLARED.manifest, subscriptions=True, libraries=("pg_cron",)))
    woken = RecoveredCluster(manifest=awake(quiet.manifest), limit=DECLARED.limit)
    still = ClusterSnapshot.from_object(object_of(quiet))
    assert list(warning_of_changes(still, woken)) == []
    assert list(warning_of_changes(LIVE, quiet)) == []


def test_what_was_changed_by_hand_is_declared_from_then_on() -> None:
    """E21: Pulumi put it back, or ended with a conflict, when the writers were stopped."""
    storage = {**LIVE.spec["storage"], "size": "99Gi"}
    spec = {**LIVE.spec, "storage": storage, "instances": 5, "enablePDB": True, "not": {"declared": 1}}
    changed = replace(LIVE, spec={key: value for key, value in spec.items() if key != "description"})
    record = as_they_are(a_record(DECLARED).with_verified(DECLARED.name, 7), [changed, a_source()])
    declared = record.recovery(DECLARED.name)
    assert declared is not None
    assert list(warning_of_changes(changed, declared)) == []
    kept = declared.manifest["spec"]
    assert (kept["storage"]["size"], kept["instances"]) == ("99Gi", 5)
    assert kept.keys() == DECLARED.manifest["spec"].keys() - {"description"}
    assert declared.manifest["metadata"] == DECLARED.manifest["metadata"]
    assert record.verified == {DECLARED.name: 7}, "it is the same Cluster"


def test_one_that_was_not_changed_is_declared_as_before() -> None:
    """E21."""
    record = a_record(DECLARED)
    assert as_they_are(record, [LIVE]) is record


def test_what_keeps_it_quiet_is_not_declared_for_good() -> None:
    """E21: the switchover has declared it awake, and it is not yet."""
    quiet = replace(DECLARED, manifest=quieted(DECLARED.manifest, subscriptions=True, libraries=("pg_cron",)))
    woken = a_record(quiet).awakened(DECLARED.name)
    still = ClusterSnapshot.from_object(object_of(quiet))
    changed = replace(still, spec={**still.spec, "instances": 5})
    declared = as_they_are(woken, [changed]).recovery(DECLARED.name)
    assert declared is not None
    expected = awake(quiet.manifest)
    assert declared.manifest["spec"] == {**expected["spec"], "instances": 5}
    # AND where it is still to be quiet, it stays so
    before = as_they_are(a_record(quiet), [changed]).recovery(DECLARED.name)
    assert before is not None
    assert before.manifest["spec"] == {**quiet.manifest["spec"], "instances": 5}
