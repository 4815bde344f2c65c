"""The recovered Cluster, derived from its source."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.recovered import RecoveredCluster, derive_recovered_cluster, left_out
from tests.support.builders import (
    BUCKET,
    LIMIT,
    TARGET,
    a_plugin_source,
    a_snapshot,
    a_source,
    by_plugin,
    cluster_object,
)

KEPT = {
    "instances": 3,
    "imageName": "registry.acme.test/postgis:17.6",
    "resources": {"requests": {"memory": "4Gi"}},
    "storage": {"size": "10Gi", "storageClass": "fast"},
    "walStorage": {"size": "2Gi"},
    "postgresql": {"parameters": {"max_connections": "200"}, "shared_preload_libraries": ["pg_stat_statements"]},
    "affinity": {"nodeSelector": {"pool": "db"}, "tolerations": [{"key": "spot", "operator": "Exists"}]},
    "topologySpreadConstraints": [{"maxSkew": 1}],
    "serviceAccountTemplate": {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": "pg@acme"}}},
    "env": [{"name": "TZ", "value": "UTC"}],
    "tablespaces": [{"name": "archive", "storage": {"size": "1Gi"}}],
    "superuserSecret": {"name": "postgres-superuser"},
    "enableSuperuserAccess": True,
    "imagePullSecrets": [{"name": "pull"}],
    "priorityClassName": "database",
}
OLDER = {"name": "older"}
OTHERS = {
    "externalClusters": [OLDER],
    "replica": {"enabled": False, "source": "older"},
    "plugins": [{"name": "something.else"}],
}


ALIASES = ("db", "db.data")


def _certificates(source: ClusterSnapshot) -> Any:
    spec = _derived(source, aliases=ALIASES).manifest["spec"]
    return spec.get("certificates")


def _derived(
    source: ClusterSnapshot, server_name: str = "postgres-prod-recovered-2", aliases: tuple[str, ...] = ()
) -> RecoveredCluster:
    assert source.store is not None
    return derive_recovered_cluster(
        source,
        source.store,
        aliases=aliases,
        name="postgres-prod-recovered",
        server_name=server_name,
        target=TARGET,
        limit=LIMIT,
    )


def _spec(**changes: Any) -> dict[str, Any]:
    return dict(_derived(a_source(**changes)).manifest["spec"])


@pytest.mark.parametrize("key", sorted(KEPT))
def test_what_makes_it_a_stand_in_is_kept(key: str) -> None:
    assert _spec(**KEPT)[key] == KEPT[key]


def test_what_belongs_to_the_source_alone_is_dropped() -> None:
    assert "replica" not in _spec(**OTHERS)


def test_other_plugins_are_kept_and_barmans_without_the_wal_is_not() -> None:
    """C2, C3: such a plugin would take base backups into the source's folder."""
    barman = {"name": "barman-cloud.cloudnative-pg.io", "parameters": {"serverName": "postgres-prod"}}
    assert _spec(plugins=[{"name": "something.else"}, barman])["plugins"] == [{"name": "something.else"}]


def test_the_first_external_cluster_is_the_source_at_its_own_server_name() -> None:
    place = {"destinationPath": f"gs://{BUCKET}/prod", "serverName": "postgres-prod-7", "wal": {"maxParallel": 4}}
    spec = _spec(**OTHERS, backup={"barmanObjectStore": place})
    assert spec["externalClusters"] == [{"name": "postgres-prod", "barmanObjectStore": place}, OLDER]


@pytest.mark.parametrize("source", [a_source(), a_plugin_source()], ids=["in-tree", "plugin"])
def test_the_servers_that_its_subscriptions_connect_to_come_along(source: ClusterSnapshot) -> None:
    """E11. A subscription's connection string names files that CloudNativePG writes for these entries only."""
    publisher = {
        "name": "publisher",
        "connectionParameters": {"host": "publisher-rw.data.svc", "user": "feed"},
        "password": {"name": "feed", "key": "password"},
    }
    itself = {**publisher, "name": "postgres-prod"}
    live = {**source.spec, "externalClusters": [publisher, itself]}
    origin, *others = _derived(replace(source, spec=live)).manifest["spec"]["externalClusters"]
    assert (origin["name"], "connectionParameters" in origin) == ("postgres-prod", False)
    assert others == [publisher]


def test_the_origins_server_name_is_written_even_where_the_source_leaves_it_out() -> None:
    (origin,) = _spec()["externalClusters"]
    assert origin["barmanObjectStore"]["serverName"] == "postgres-prod"


def test_it_archives_to_the_same_store_below_a_server_name_of_its_own() -> None:
    backup = _spec()["backup"]
    assert backup["barmanObjectStore"]["serverName"] == "postgres-prod-recovered-2"
    assert backup["barmanObjectStore"]["destinationPath"] == f"gs://{BUCKET}/prod"
    assert backup["retentionPolicy"] == "30d"


@pytest.mark.parametrize(
    "store",
    [
        {
            "destinationPath": "s3://acme/prod",
            "endpointURL": "http://minio.minio.svc:9000",
            "endpointCA": {"name": "ca", "key": "ca.crt"},
            "s3Credentials": {"accessKeyId": {"name": "s3", "key": "id"}, "region": {"name": "s3", "key": "region"}},
        },
        {
            "destinationPath": "https://acme.blob.core.windows.net/backups/prod",
            "azureCredentials": {"connectionString": {"name": "azure", "key": "connection"}},
        },
    ],
    ids=["s3", "azure"],
)
def test_the_way_to_any_store_is_carried_over_with_a_server_name_of_its_own(store: dict[str, Any]) -> None:
    spec = _spec(backup={"barmanObjectStore": store})
    (origin,) = spec["externalClusters"]
    assert origin["barmanObjectStore"] == {**store, "serverName": "postgres-prod"}
    assert spec["backup"]["barmanObjectStore"] == {**store, "serverName": "postgres-prod-recovered-2"}


def test_it_bootstraps_by_recovery_and_by_nothing_else() -> None:
    assert _spec()["bootstrap"] == {
        "recovery": {
            "source": "postgres-prod",
            "database": "shop",
            "owner": "keeper",
            "secret": {"name": "postgres-prod-recovered-app"},
            "recoveryTarget": {"targetTime": "2026-04-27T09:55:00+00:00"},
        }
    }


def test_managed_roles_are_kept_and_managed_services_are_not() -> None:
    spec = _spec(managed={"roles": [{"name": "reader"}], "services": {"additional": [{"name": "postgres-public"}]}})
    assert spec["managed"] == {"roles": [{"name": "reader"}]}


def test_the_image_that_runs_is_pinned_where_the_source_names_none() -> None:
    raw = cluster_object(imageName=None)
    raw["status"]["image"] = "registry.acme.test/postgis:17.5"
    manifest = _derived(ClusterSnapshot.from_object(raw)).manifest
    assert manifest["spec"]["imageName"] == "registry.acme.test/postgis:17.5"


def test_an_image_catalogue_stays_the_one_source_of_the_image() -> None:
    raw = cluster_object(imageName=None, imageCatalogRef={"kind": "ImageCatalog", "name": "postgis", "major": 17})
    raw["status"]["image"] = "registry.acme.test/postgis:17.5"
    assert "imageName" not in _derived(ClusterSnapshot.from_object(raw)).manifest["spec"]


def test_it_says_whose_it_is_and_what_it_was_recovered_to() -> None:
    cluster = _derived(a_source())
    assert (cluster.name, cluster.namespace, cluster.limit) == ("postgres-prod-recovered", "data", LIMIT)
    assert cluster.target == "2026-04-27T09:55:00+00:00"
    assert cluster.server_name == "postgres-prod-recovered-2"
    assert cluster.host == "postgres-prod-recovered-rw.data.svc.cluster.local"
    assert cluster.manifest["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "postgres-dr"}
    assert set(cluster.manifest) == {"apiVersion", "kind", "metadata", "spec"}


def test_the_source_is_not_changed_by_deriving() -> None:
    source = a_source(**KEPT, **OTHERS, managed={"roles": [], "services": {}})
    before = deepcopy(source.spec)
    _derived(source)
    assert source.spec == before


def test_the_result_shares_nothing_with_the_source() -> None:
    # GIVEN
    source = a_source(**KEPT)
    before = deepcopy(source.spec)
    # WHEN the declaration is changed in depth
    spec = _derived(source).manifest["spec"]
    spec["postgresql"]["parameters"]["max_connections"] = "1"
    spec["externalClusters"][0]["barmanObjectStore"]["wal"]["maxParallel"] = 99
    # THEN
    assert source.spec == before
    assert spec["backup"]["barmanObjectStore"]["wal"] == {"maxParallel": 4}


def test_its_certificate_is_for_the_names_that_clients_use_too() -> None:
    assert _certificates(a_source()) == {"serverAltDNSNames": ["db", "db.data"]}
    own = a_source(certificates={"serverAltDNSNames": ["old.acme.test", "db"], "clientCASecret": "ours"})
    assert _certificates(own) == {"serverAltDNSNames": ["old.acme.test", "db", "db.data"], "clientCASecret": "ours"}


def test_a_certificate_that_is_given_is_left_as_it_is() -> None:
    given = {"serverTLSSecret": "ours", "serverCASecret": "our-ca"}
    assert _certificates(a_source(certificates=given)) == given


def test_by_the_plugin_it_is_restored_from_the_sources_server_name_and_archives_to_its_own() -> None:
    spec = _derived(a_plugin_source(serverName="postgres-prod-7")).manifest["spec"]
    name = "barman-cloud.cloudnative-pg.io"
    assert spec["externalClusters"] == [
        {
            "name": "postgres-prod",
            "plugin": {
                "name": name,
                "parameters": {"barmanObjectName": "prod-store", "serverName": "postgres-prod-7"},
            },
        }
    ]
    assert spec["plugins"] == [
        {
            "name": name,
            "enabled": True,
            "isWALArchiver": True,
            "parameters": {"barmanObjectName": "prod-store", "serverName": "postgres-prod-recovered-2"},
        }
    ]
    assert "backup" not in spec
    assert "barmanObjectStore" not in str(spec)


def test_by_the_plugin_the_origins_server_name_is_written_even_where_the_source_leaves_it_out() -> None:
    (origin,) = _derived(a_plugin_source()).manifest["spec"]["externalClusters"]
    assert origin["plugin"]["parameters"]["serverName"] == "postgres-prod"
    assert _derived(a_plugin_source()).server_name == "postgres-prod-recovered-2"


def test_by_the_plugin_the_rest_of_the_backup_section_is_kept() -> None:
    keys = {**by_plugin(), "backup": {"target": "primary", "volumeSnapshot": {"className": "fast"}}}
    source = a_source(**keys).with_object_store({"destinationPath": f"gs://{BUCKET}/prod"})
    assert _derived(source).manifest["spec"]["backup"] == keys["backup"]


@pytest.mark.parametrize("source", [a_source(), a_plugin_source()], ids=["in-tree", "plugin"])
def test_from_volume_snapshots_the_wal_still_comes_from_the_object_store(source: ClusterSnapshot) -> None:
    assert source.store is not None
    plain = _derived(source).manifest["spec"]
    spec = derive_recovered_cluster(
        source,
        source.store,
        name="postgres-prod-recovered",
        server_name="postgres-prod-recovered-2",
        target=TARGET,
        limit=LIMIT,
        base="nightly",
        snapshot=a_snapshot("nightly", wal_storage="nightly-wal", tablespaces={"cold": "nightly-tbs-cold"}),
    ).manifest["spec"]
    recovery = spec["bootstrap"]["recovery"]
    reference = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot"}
    assert recovery.pop("volumeSnapshots") == {
        "storage": {**reference, "name": "nightly"},
        "walStorage": {**reference, "name": "nightly-wal"},
        "tablespaceStorage": {"cold": {**reference, "name": "nightly-tbs-cold"}},
    }
    # CloudNativePG's webhook refuses a backupID beside them.
    assert recovery["recoveryTarget"] == {"targetTime": TARGET.value}
    assert spec == plain


@pytest.mark.parametrize("source", [a_source(), a_plugin_source()], ids=["in-tree", "plugin"])
def test_what_was_recovered_can_itself_be_recovered(source: ClusterSnapshot) -> None:
    # GIVEN a recovered Cluster as it is seen in the cluster
    first = _derived(source)
    raw = {**cluster_object(first.name), "spec": deepcopy(dict(first.manifest["spec"]))}
    seen = ClusterSnapshot.from_object(raw).with_object_store({"destinationPath": f"gs://{BUCKET}/prod"})
    # WHEN it is recovered in its turn
    spec = _derived(seen, server_name="third").manifest["spec"]
    # THEN it comes from the first one's folder, in the same way
    assert seen.server_name == "postgres-prod-recovered-2"
    assert (seen.plugin is None) == (source.plugin is None)
    (origin,) = spec["externalClusters"]
    known = origin["plugin"]["parameters"] if source.plugin else origin["barmanObjectStore"]
    assert known["serverName"] == "postgres-prod-recovered-2"


def _annotated(**annotations: str) -> ClusterSnapshot:
    raw = cluster_object()
    raw["metadata"]["annotations"] = {name.replace("__", "/"): value for name, value in annotations.items()}
    raw["metadata"]["labels"] = {"team": "shop", "app.kubernetes.io/managed-by": "postgres-dr"}
    return ClusterSnapshot.from_object(raw)


def test_annotations_are_carried_over_but_for_states_and_the_marks_of_others() -> None:
    """C3."""
    source = _annotated(
        **{"cnpg.io__podPatch": "[]", "acme.test__owner": "shop", "cnpg.io__fencedInstances": '["*"]'},
        **{"kubectl.kubernetes.io__last-applied-configuration": "{}", "argocd.argoproj.io__tracking-id": "x"},
        **{"cnpg.io__skipEmptyWalArchiveCheck": "enabled", "postgres-dr__quieted": "{}"},
    )
    found = _derived(source).manifest["metadata"]["annotations"]
    assert {name: value for name, value in found.items() if not name.startswith("postgres-dr/")} == {
        "cnpg.io/podPatch": "[]",
        "acme.test/owner": "shop",
    }
    assert "postgres-dr/quieted" not in found


def test_what_is_not_carried_over_is_named() -> None:
    """C3."""
    source = _annotated(cnpg__x="1", **{"cnpg.io__skipEmptyWalArchiveCheck": "enabled"})
    source = replace(
        source,
        spec={
            **source.spec,
            "description": "x",
            "managed": {"services": {"additional": []}},
            "replica": {"primary": "postgres-prod"},
        },
    )
    assert list(left_out(source, name="new")) == [
        "managed.services, until finalize",
        "replica",
        "the annotation cnpg.io/skipEmptyWalArchiveCheck",
        "the label team",
    ]
    assert list(left_out(a_source(), name="new")) == []
