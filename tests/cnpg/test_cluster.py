"""Reading a Cluster object: where CloudNativePG keeps a fact, and what it means when the fact is missing."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from tests.support.builders import BACKUP_URL, BUCKET, HEALTHY, a_plugin_source, a_source, by_plugin, cluster_object


def _with_status(**status: Any) -> ClusterSnapshot:
    return ClusterSnapshot.from_object({**cluster_object(), "status": status})


def test_the_facts_of_a_healthy_cluster_are_read() -> None:
    seen = a_source()
    assert (seen.name, seen.namespace, seen.primary) == ("postgres-prod", "data", "postgres-prod-1")
    assert seen.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert (seen.database, seen.owner, seen.app_secret) == ("shop", "keeper", "shop-owner")
    assert seen.archiving.working is True
    assert seen.healthy


def test_an_object_without_status_is_read_as_not_yet_anything() -> None:
    raw = cluster_object()
    del raw["status"]
    seen = ClusterSnapshot.from_object(raw)
    assert (seen.phase, seen.primary, seen.healthy, seen.archiving.working) == ("", None, False, None)


@pytest.mark.parametrize("bootstrap", [None, {}, {"initdb": {}}, {"recovery": {"source": "x"}}])
def test_what_bootstrap_does_not_say_is_what_the_webhook_defaults_to(bootstrap: dict[str, Any] | None) -> None:
    seen = a_source(bootstrap=bootstrap)
    assert (seen.database, seen.owner, seen.app_secret) == ("app", "app", "postgres-prod-app")


def test_the_owner_is_named_as_the_database_where_it_is_not_said() -> None:
    assert a_source(bootstrap={"initdb": {"database": "shop"}}).owner == "shop"


@pytest.mark.parametrize("method", ["initdb", "recovery", "pg_basebackup"])
def test_the_database_is_known_however_the_cluster_began(method: str) -> None:
    assert a_source(bootstrap={method: {"database": "shop"}}).database == "shop"


def test_the_server_name_is_the_clusters_name_by_default() -> None:
    store = a_source().store
    assert store is not None
    assert (store.server_name, store.url) == ("postgres-prod", f"gs://{BUCKET}/prod")


def test_a_given_server_name_counts_and_a_slash_at_the_end_does_not() -> None:
    place = {"destinationPath": f"gs://{BUCKET}/prod/", "serverName": "postgres-prod-2"}
    store = a_source(backup={"barmanObjectStore": place}).store
    assert store is not None
    assert (store.server_name, store.url) == ("postgres-prod-2", f"gs://{BUCKET}/prod")


@pytest.mark.parametrize("backup", [None, {}, {"volumeSnapshot": {"className": "fast"}}])
def test_a_cluster_without_object_store_has_none(backup: dict[str, Any] | None) -> None:
    assert a_source(backup=backup).store is None


def test_only_a_plugin_that_archives_wal_counts_as_one() -> None:
    archiver = {"name": "barman-cloud.cloudnative-pg.io", "isWALArchiver": True}
    assert a_source(plugins=[archiver]).plugin
    assert not a_source(plugins=[{**archiver, "isWALArchiver": False}]).plugin
    assert not a_source(plugins=[{**archiver, "enabled": False}]).plugin
    assert a_source(plugins=[{"name": "something.else"}]).other_archiver == ""
    assert a_source(plugins=[{"name": "something.else", "isWALArchiver": True}]).other_archiver == "something.else"


def test_the_image_that_runs_is_taken_where_none_is_given() -> None:
    raw = cluster_object(imageName=None)
    raw["status"]["image"] = "registry.acme.test/postgis:17.5"
    assert ClusterSnapshot.from_object(raw).image == "registry.acme.test/postgis:17.5"


@pytest.mark.parametrize(
    ("phase", "ready"), [("Setting up primary", "True"), (HEALTHY, "False"), ("", "True")], ids=str
)
def test_healthy_takes_both_the_phase_and_the_condition(phase: str, ready: str) -> None:
    assert not _with_status(phase=phase, conditions=[{"type": "Ready", "status": ready}]).healthy


def test_failing_archiving_keeps_its_message() -> None:
    seen = _with_status(conditions=[{"type": "ContinuousArchiving", "status": "False", "message": "exit status 1"}])
    assert (seen.archiving.working, seen.archiving.message) == (False, "exit status 1")


def test_each_volume_has_its_storage_class() -> None:
    assert a_source(storage={"size": "1Gi"}, walStorage={"size": "1Gi", "storageClass": "wal"}).storage_classes == (
        None,
        "wal",
    )


def test_the_plugins_archive_is_found_by_its_parameters() -> None:
    seen = a_source(**by_plugin(serverName="postgres-prod-7"))
    assert seen.plugin is not None
    assert (seen.plugin.object_store, seen.plugin.server_name, seen.server_name) == (
        "prod-store",
        "postgres-prod-7",
        "postgres-prod-7",
    )
    assert a_source(**by_plugin()).server_name == "postgres-prod", "by default the plugin takes the Cluster's name"


def test_the_plugins_object_store_is_another_object() -> None:
    assert a_source(**by_plugin()).store is None
    assert a_source(**by_plugin()).with_object_store(None).store is None
    store = a_plugin_source(serverName="x").store
    assert store is not None
    assert (store.url, store.server_name) == (BACKUP_URL, "x")


def test_a_backup_is_taken_in_the_way_the_cluster_archives() -> None:
    assert a_source().backup_method == {"method": "barmanObjectStore"}
    name = {"name": "barman-cloud.cloudnative-pg.io"}
    assert a_plugin_source().backup_method == {"method": "plugin", "pluginConfiguration": name}
