"""Health of the operator and its plugin, and how long they are supported."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from semver import Version

from dr.cnpg.cluster import Archiving
from dr.health.check import Check, State
from dr.health.snapshot import Operators, Program
from dr.health.versions import end_of
from tests.support.builders import a_plugin_source, a_source, by_plugin
from tests.support.health_fixtures import UNSEEN, a_serving, checks


def _with(version: str, day: date = date(2026, 10, 1), *, settings: Any = None, **changes: Any) -> dict[str, Check]:
    """The checks with an operator of ``version``, seen on ``day``."""
    operator = Program(name="cnpg-controller-manager", version=version, ready=1)
    seen_at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return checks(settings, operators=Operators(operator=operator, plugin=None), seen_at=seen_at, **changes)


def test_an_operator_that_does_not_run_is_critical() -> None:
    stopped = Program(name="cnpg-controller-manager", version="1.30.0", ready=0)
    assert checks(operators=Operators(operator=stopped, plugin=None))["operator"].state is State.CRITICAL
    gone = checks(operators=Operators(operator=None, plugin=None))
    assert (gone["operator"].state, gone["operator-version"].state) == (State.CRITICAL, State.UNKNOWN)
    assert "health.operatorNamespace" in gone["operator"].remedy


@pytest.mark.parametrize(
    ("version", "day", "state"),
    [
        ("1.30.0", date(2026, 10, 1), State.OK),
        ("1.30.2", date(2026, 12, 10), State.WARNING),
        ("1.30.2", date(2026, 12, 31), State.WARNING),
        ("1.30.2", date(2027, 1, 1), State.CRITICAL),
        ("1.25.1", date(2026, 10, 1), State.CRITICAL),
        ("2.0.0", date(2026, 10, 1), State.OK),
        ("latest", date(2026, 10, 1), State.UNKNOWN),
        ("", date(2026, 10, 1), State.UNKNOWN),
    ],
)
def test_a_version_is_supported_until_a_day(version: str, day: date, state: State) -> None:
    assert _with(version, day)["operator-version"].state is state


def test_the_table_can_be_added_to() -> None:
    later = {"health": {"endOfLife": {"1.30": "2027-06-30"}}}
    found = _with("1.30.0", date(2027, 1, 15), settings=later)
    assert (found["operator-version"].state, found["archive-method"].state) == (State.OK, State.OK)
    assert end_of(Version(1, 40, 0), {"1.40": date(2029, 1, 1)}) == date(2029, 1, 1)


def test_in_tree_archiving_is_good_for_as_long_as_the_last_operator_that_has_it() -> None:
    assert _with("1.30.0")["archive-method"].state is State.OK
    ending = _with("1.30.0", date(2026, 12, 20))["archive-method"]
    assert (ending.state, "migrate-to-plugin" in ending.remedy) == (State.WARNING, True)
    assert _with("1.30.0", date(2027, 5, 1))["archive-method"].state is State.WARNING


def test_an_operator_that_leaves_it_out_is_critical_when_nothing_is_archived_any_more() -> None:
    failing = a_serving(replace(a_source(), archiving=Archiving(working=False)))
    assert _with("1.31.0", serving=failing)["archive-method"].state is State.CRITICAL
    assert _with("1.31.0")["archive-method"].state is State.WARNING


def test_the_plugin_has_no_such_end() -> None:
    assert _with("1.31.0", serving=a_serving(a_plugin_source()))["archive-method"].state is State.OK
    other = a_source(backup=None)
    assert _with("1.31.0", serving=a_serving(other))["archive-method"].state is State.OK


def _plugin(version: str = "v0.14.0", fault: str = "", **changes: Any) -> Check:
    program = Program(name="barman-cloud", version=version, ready=1)
    operator = Program(name="cnpg-controller-manager", version="1.30.0", ready=1)
    operators = Operators(operator=operator, plugin=program, plugin_fault=fault)
    return checks(**{"operators": operators, "serving": a_serving(a_plugin_source()), **changes})["plugin"]


def test_the_plugin_counts_where_it_is_used() -> None:
    assert checks()["plugin"].message == "not used"
    assert (_plugin().state, _plugin().message) == (State.OK, "0.14.0, runs")
    down = _plugin(fault="its Service has no pod that is ready")
    assert (down.state, "has no pod" in down.message) == (State.CRITICAL, True)


def test_a_plugin_that_mixes_up_wal_is_told() -> None:
    assert _plugin("v0.11.0").state is State.WARNING
    assert _plugin("sha-1").state is State.OK


def test_a_missing_object_store_is_critical() -> None:
    without = a_serving(a_source(**by_plugin()))
    assert "there is no ObjectStore prod-store" in _plugin(serving=without).message


def test_what_was_not_seen_is_unknown() -> None:
    blind = checks(operators=UNSEEN)
    for name in ("operator", "operator-version", "archive-method", "plugin"):
        assert blind[name].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["archive-method"].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["plugin"].state is State.UNKNOWN
