"""The scratch Cluster: like its source where that matters for reading, and silent towards the world."""

from dataclasses import replace
from typing import Any

from dr.cnpg.cluster import TARGET_ANNOTATION, ClusterSnapshot
from dr.cnpg.recovered import SOURCE_ANNOTATION
from dr.cnpg.scratch import (
    SCRATCH_LABEL,
    derive_scratch_cluster,
    is_scratch_for,
    loaded_by,
    warnings_of_scratch,
)
from dr.config.names import CLUSTER_NAME_LIMIT, SNAPSHOT_NAME_LIMIT, scratch_name
from tests.support.builders import NOW, TARGET, a_plugin_source, a_source, cluster_object

NOISY: dict[str, Any] = {
    "instances": 3,
    "minSyncReplicas": 1,
    "maxSyncReplicas": 2,
    "monitoring": {"enablePodMonitor": True},
    "managed": {"services": {"additional": [{}]}, "roles": [{"name": "app"}]},
    "superuserSecret": {"name": "theirs"},
    "resources": {"limits": {"memory": "4Gi"}},
    "walStorage": {"size": "2Gi"},
    "postgresql": {
        "parameters": {"max_connections": "200", "max_logical_replication_workers": "4"},
        "shared_preload_libraries": ["pg_cron"],
        "synchronous": {"method": "any", "number": 1},
        "pg_hba": ["host all all all reject"],
    },
}


def scratch_of(**spec: Any) -> dict[str, Any]:
    source = a_source(**spec)
    assert source.store is not None
    return dict(derive_scratch_cluster(source, source.store, name="postgres-prod-scratch", target=TARGET))


def test_it_reads_the_sources_archive_up_to_the_target_and_writes_none() -> None:
    spec = scratch_of()["spec"]
    assert spec["bootstrap"]["recovery"]["recoveryTarget"] == {"targetTime": TARGET.value}
    assert spec["externalClusters"][0]["barmanObjectStore"]["serverName"] == "postgres-prod"
    assert "backup" not in spec
    assert "plugins" not in spec


def test_it_connects_to_no_server_that_its_source_connects_to() -> None:
    """E11."""
    publisher = {"name": "publisher", "connectionParameters": {"host": "publisher-rw"}}
    (origin,) = scratch_of(externalClusters=[publisher])["spec"]["externalClusters"]
    assert origin["name"] == "postgres-prod"


def test_of_a_source_that_archives_by_the_plugin_it_reads_by_the_plugin_and_writes_nothing() -> None:
    source = a_plugin_source(serverName="seven")
    assert source.store is not None
    spec = derive_scratch_cluster(source, source.store, name="postgres-prod-scratch", target=TARGET)["spec"]
    parameters = {"barmanObjectName": "prod-store", "serverName": "seven"}
    assert spec["externalClusters"][0]["plugin"]["parameters"] == parameters
    assert {"backup", "plugins"} & set(spec) == set()


def test_it_is_one_instance_with_the_sources_room() -> None:
    spec = scratch_of(**NOISY)["spec"]
    assert spec["instances"] == 1
    assert spec["resources"] == NOISY["resources"]
    assert spec["walStorage"] == NOISY["walStorage"]
    assert spec["postgresql"]["parameters"]["max_connections"] == "200"
    # Each of these makes a Cluster of one instance impossible, or wait for ever.
    assert {"minSyncReplicas", "maxSyncReplicas"} & set(spec) == set()
    assert "synchronous" not in spec["postgresql"]


def test_what_would_act_on_the_world_is_off() -> None:
    spec = scratch_of(**NOISY)["spec"]
    assert {"monitoring", "managed", "backup"} & set(spec) == set()
    assert spec["postgresql"]["parameters"]["max_logical_replication_workers"] == "0"
    assert spec["postgresql"]["parameters"]["cron.launch_active_jobs"] == "off"
    assert "cron.launch_active_jobs" not in scratch_of()["spec"]["postgresql"]["parameters"]


def test_its_passwords_are_its_own_and_go_with_it() -> None:
    spec = scratch_of(**NOISY)["spec"]
    assert spec["enableSuperuserAccess"] is True
    assert "superuserSecret" not in spec
    assert "secret" not in spec["bootstrap"]["recovery"]
    assert spec["postgresql"]["pg_hba"] == ["hostssl all postgres all scram-sha-256"]


def test_it_is_found_again_by_its_label_and_by_what_it_is_of() -> None:
    metadata = scratch_of()["metadata"]
    assert metadata["labels"][SCRATCH_LABEL] == "true"
    assert metadata["annotations"] == {TARGET_ANNOTATION: TARGET.value, SOURCE_ANNOTATION: "postgres-prod"}
    raw = cluster_object("postgres-prod-scratch")
    raw["metadata"]["annotations"] = {**metadata["annotations"], "postgres-dr/loaded-postgres_dr_1": "16400"}
    seen = ClusterSnapshot.from_object(raw)
    assert is_scratch_for(seen, "postgres-prod", TARGET)
    assert not is_scratch_for(seen, "postgres-dev", TARGET)
    assert not is_scratch_for(seen, "postgres-prod", replace(TARGET, time=NOW))
    assert (loaded_by(seen, "postgres_dr_1"), loaded_by(seen, "postgres_dr_2"), loaded_by(None, "x")) == (
        16400,
        None,
        None,
    )


def test_its_name_has_a_number_where_it_is_taken_and_is_never_too_long() -> None:
    assert scratch_name("postgres-prod", frozenset()) == "postgres-prod-scratch"
    assert scratch_name("postgres-prod", frozenset({"postgres-prod-scratch"})) == "postgres-prod-scratch-2"
    long = scratch_name("p" * CLUSTER_NAME_LIMIT, frozenset())
    assert len(long) == SNAPSHOT_NAME_LIMIT
    assert long.endswith("-scratch")


def test_workers_that_act_on_the_data_are_off_or_not_loaded() -> None:
    """X10. Retention jobs deleted in the copy what was to be read from it."""
    libraries = ["timescaledb", "pg_cron", "pg_partman_bgw", "pglogical", "pg_net", "pg_stat_statements"]
    postgresql = scratch_of(postgresql={"shared_preload_libraries": libraries})["spec"]["postgresql"]
    assert postgresql["shared_preload_libraries"] == ["timescaledb", "pg_cron", "pg_stat_statements"]
    assert postgresql["parameters"]["timescaledb.max_background_workers"] == "0"
    assert postgresql["parameters"]["cron.launch_active_jobs"] == "off"
    assert list(warnings_of_scratch(a_source(postgresql={"shared_preload_libraries": libraries}))) == []


def test_what_a_library_does_that_is_not_known_is_told() -> None:
    """X10."""
    source = a_source(postgresql={"shared_preload_libraries": ["pg_cron", "citus", "our_worker"]})
    (warning,) = warnings_of_scratch(source)
    assert "loads citus, our_worker, as" in warning


def test_nothing_gives_way_to_it_and_labels_that_services_may_select_by_are_told() -> None:
    """E26."""
    metadata = {"labels": {"app": "db"}, "annotations": {"sidecar.istio.io/inject": "false"}}
    spec = scratch_of(priorityClassName="prod-critical", inheritedMetadata=metadata)["spec"]
    assert "priorityClassName" not in spec
    # A NetworkPolicy may need the labels, so they stay.
    assert spec["inheritedMetadata"] == metadata
    (warning,) = warnings_of_scratch(a_source(inheritedMetadata=metadata))
    assert "app=db" in warning
    assert list(warnings_of_scratch(a_source())) == []
