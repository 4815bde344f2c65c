"""What was changed by hand in a Cluster that is declared."""

from dataclasses import replace
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.quiet import awake, quieted
from dr.cnpg.recovered import RecoveredCluster
from dr.switchover.manual_changes import differences, warning_of_changes
from tests.support.builders import a_move, a_recovered, a_traffic_situation, object_of

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


def test_a_switchovers_plan_names_what_would_be_put_back() -> None:
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
