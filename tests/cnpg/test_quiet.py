"""Keeping a copy's subscriptions and jobs quiet, and back again."""

from typing import Any

import pytest

from dr.cnpg.quiet import awake, is_quiet, libraries_of, quieted


def _manifest(**postgresql: Any) -> dict[str, Any]:
    return {"metadata": {"name": "copy"}, "spec": {"postgresql": postgresql} if postgresql else {}}


@pytest.mark.parametrize(
    ("subscriptions", "libraries", "parameters"),
    [
        (True, (), {"max_logical_replication_workers": "0"}),
        (False, ("pg_cron",), {"cron.launch_active_jobs": "off"}),
        (False, ("timescaledb",), {"timescaledb.max_background_workers": "0"}),
        (True, ("pg_cron",), {"max_logical_replication_workers": "0", "cron.launch_active_jobs": "off"}),
    ],
)
@pytest.mark.parametrize("before", [{}, {"max_logical_replication_workers": "8", "work_mem": "64MB"}])
def test_it_is_quiet_and_then_as_it_was(
    subscriptions: bool, libraries: tuple[str, ...], parameters: dict[str, str], before: dict[str, str]
) -> None:
    """E11."""
    manifest = _manifest(parameters=before)
    quiet = quieted(manifest, subscriptions=subscriptions, libraries=libraries)
    assert quiet["spec"]["postgresql"]["parameters"] == before | parameters
    assert is_quiet(quiet)
    assert awake(quiet)["spec"] == manifest["spec"]
    assert not is_quiet(awake(quiet))


def test_where_there_is_nothing_to_keep_quiet_nothing_is_set() -> None:
    assert quieted(_manifest(), subscriptions=False, libraries=()) == _manifest()
    assert awake(_manifest()) == _manifest()


def test_only_libraries_with_jobs_count() -> None:
    spec = _manifest(shared_preload_libraries=["pg_stat_statements", "pg_cron"])["spec"]
    assert libraries_of(spec) == ("pg_cron",)
    assert libraries_of({}) == ()
