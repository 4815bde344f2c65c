"""What a health check asks for, one client at a time."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dr.cnpg.cluster import ClusterSnapshot
from dr.config.backup_location import BackupLocation
from dr.config.kubernetes_access import KubernetesAccess
from dr.core.errors import AccessError
from dr.health.observe import base_backup_bytes, read_bucket
from dr.health.observe_cluster import (
    ask_database,
    ask_volumes,
    facts_of,
    find_operators,
    find_serving,
    list_backup_objects,
    own_ends,
    read_identity,
    split_image,
    volumes_of,
)
from dr.health.snapshot import Volume
from dr.kube.api import KubernetesApi
from tests.support.builders import (
    BUCKET,
    NOW,
    RECOVERED_HOST,
    STORE_CONFIGURATION,
    a_source,
    an_environment,
    by_plugin,
    cluster_object,
)
from tests.support.doubles import ObjectStoreDouble, Wire, in_pods, kube_status, said, serving, write_kubeconfig

CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"
STORES = "/apis/barmancloud.cnpg.io/v1/namespaces/data/objectstores"
SERVICE = "/api/v1/namespaces/data/services/prod-postgres"
PLACE = BackupLocation(bucket=BUCKET, path="prod")


@pytest.fixture
def api(tmp_path: Path, wire: Wire) -> KubernetesApi:
    path = write_kubeconfig(tmp_path / "config", {"acme-prod": wire.url})
    return KubernetesApi(KubernetesAccess(context="acme-prod", kubeconfig=str(path)))


def test_the_cluster_behind_the_service_is_the_one_to_look_at(api: KubernetesApi, wire: Wire) -> None:
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": RECOVERED_HOST}})
    wire.on(f"{CLUSTERS}/postgres-prod-recovered", cluster_object("postgres-prod-recovered"))
    found = find_serving(api, an_environment())
    assert (found.cluster.name, found.serves, found.retention_policy) == ("postgres-prod-recovered", True, "30d")


def test_without_it_the_configured_source_is(api: KubernetesApi, wire: Wire) -> None:
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": "elsewhere.test"}})
    wire.on(f"{CLUSTERS}/postgres-prod", cluster_object())
    found = find_serving(api, an_environment())
    assert (found.cluster.name, found.serves, found.external_name) == ("postgres-prod", False, "elsewhere.test")


def test_without_either_it_is_an_error(api: KubernetesApi, wire: Wire) -> None:
    for path in (SERVICE, f"{CLUSTERS}/postgres-prod"):
        wire.on(path, kube_status(404, "not found", name="x"), status=404)
    with pytest.raises(AccessError, match="points to nothing"):
        find_serving(api, an_environment())


def test_what_the_status_tells_is_read(api: KubernetesApi, wire: Wire) -> None:
    raw = cluster_object(instances=3)
    raw["status"] |= {
        "readyInstances": 2,
        "instanceNames": ["postgres-prod-1", "postgres-prod-2"],
        "lastSuccessfulBackup": "2026-04-27T09:00:00Z",
        "lastSuccessfulBackupByMethod": {
            "barmanObjectStore": "2026-04-27T03:00:00Z",
            "volumeSnapshot": "2026-04-27T09:00:00Z",
        },
        "certificates": {"expirations": {"postgres-prod-ca": "2026-07-23 15:33:05 +0000 UTC"}},
    }
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": "postgres-prod-rw.data"}})
    wire.on(f"{CLUSTERS}/postgres-prod", raw)
    found = find_serving(api, an_environment())
    assert (found.instances, found.ready_instances, found.pods) == (3, 2, ("postgres-prod-1", "postgres-prod-2"))
    assert found.claimed_backup == datetime(2026, 4, 27, 3, tzinfo=UTC)
    assert found.certificates == {"postgres-prod-ca": datetime(2026, 7, 23, 15, 33, 5, tzinfo=UTC)}


def test_the_plugins_retention_is_its_object_stores(api: KubernetesApi, wire: Wire) -> None:
    wire.on(SERVICE, {"metadata": {}, "spec": {"externalName": "postgres-prod-rw.data"}})
    wire.on(f"{CLUSTERS}/postgres-prod", cluster_object(**by_plugin()))
    wire.on(f"{STORES}/prod-store", {"spec": {"configuration": STORE_CONFIGURATION, "retentionPolicy": "14d"}})
    assert find_serving(api, an_environment()).retention_policy == "14d"
    wire.on(f"{STORES}/prod-store", kube_status(404, "not found", name="prod-store"), status=404)
    assert find_serving(api, an_environment()).retention_policy == ""


def test_an_identity_is_the_service_accounts_annotation(api: KubernetesApi, wire: Wire) -> None:
    path = "/api/v1/namespaces/data/serviceaccounts"
    named = {"iam.gke.io/gcp-service-account": "backup@acme.iam.gserviceaccount.com"}
    wire.on(f"{path}/postgres-prod", {"metadata": {"name": "postgres-prod", "annotations": named}})
    found = read_identity(api, a_source())
    assert (found.account, found.found, found.google) == (
        "postgres-prod",
        True,
        "backup@acme.iam.gserviceaccount.com",
    )
    wire.on(f"{path}/own", kube_status(404, "not found", name="own"), status=404)
    assert not read_identity(api, a_source(serviceAccountName="own")).found


def test_a_databases_answer_is_read() -> None:
    answer = {
        "now": NOW.timestamp(),
        "position": 0x3000028,
        "segmentSize": 2**24,
        "size": 1,
        "walSize": 2,
        "archiveTimeout": 300,
        "lastArchived": None,
        "lastArchivedAt": None,
        "lastFailed": "000000010000000000000003",
        "lastFailedAt": NOW.timestamp() - 5,
        "waiting": 1,
        "waitingSince": NOW.timestamp() - 9,
        "replicas": [
            {"name": "postgres-prod-2", "state": "streaming", "lag": 0.5},
            {"name": "postgres-prod-3", "state": "catchup", "lag": None},
        ],
    }
    found = facts_of(answer, asked_at=NOW)
    assert (found.now, found.last_archived, found.last_archived_at) == (NOW, "", None)
    assert (found.last_failed_at, found.waiting_since) == (NOW - timedelta(seconds=5), NOW - timedelta(seconds=9))
    assert [replica.lag for replica in found.replicas] == [timedelta(seconds=0.5), None]


def test_a_cluster_without_a_primary_cannot_be_asked(api: KubernetesApi) -> None:
    raw = cluster_object()
    raw["status"]["currentPrimary"] = ""
    with pytest.raises(AccessError) as caught:
        ask_database(api, ClusterSnapshot.from_object(raw), clock=lambda: NOW)
    assert caught.value.code == "no-primary"


def test_free_space_is_read_with_what_was_claimed() -> None:
    text = (
        "Filesystem 1-blocks Used Available Capacity Mounted on\n"
        "/dev/sdb 100 40 60 40% /var/lib/postgresql/data\n"
        "/dev/sdc 50 5 45 10% /var/lib/postgresql/wal\n"
    )
    assert list(volumes_of("db-1", text, {"db-1": 1000, "db-1-wal": 500})) == [
        Volume(pod="db-1", path="/var/lib/postgresql/data", used=40, free=60, claimed=1000),
        Volume(pod="db-1", path="/var/lib/postgresql/wal", used=5, free=45, claimed=500),
    ]


def test_every_instance_is_asked_for_its_volumes(
    api: KubernetesApi, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {"metadata": {"name": "postgres-prod-1"}, "spec": {}, "status": {"capacity": {"storage": "5Gi"}}}
    unbound = {"metadata": {"name": "postgres-prod-2"}, "spec": {}, "status": {"phase": "Pending"}}
    wire.on("/api/v1/namespaces/data/persistentvolumeclaims", {"items": [claim, unbound]})
    ran = in_pods(monkeypatch, lambda _: said("Filesystem\n/dev/sdb 10 4 6 40% /var/lib/postgresql/data\n"))
    found = ask_volumes(api, a_source(walStorage={"size": "1Gi"}), ["postgres-prod-1", "postgres-prod-2"])
    assert [volume.claimed for volume in found] == [5 * 2**30, None]
    assert ran[0].command[-1] == "/var/lib/postgresql/wal"
    in_pods(monkeypatch, lambda _: said(code=1, errors="no such file"))
    with pytest.raises(AccessError, match="no such file"):
        ask_volumes(api, a_source(), ["postgres-prod-1"])


def test_the_runs_and_schedules_of_other_clusters_are_left_out(api: KubernetesApi, wire: Wire) -> None:
    group = "/apis/postgresql.cnpg.io/v1/namespaces/data"
    ours, theirs = {"cluster": {"name": "postgres-prod"}}, {"cluster": {"name": "postgres-dev"}}
    made = {"creationTimestamp": "2026-04-27T03:00:00Z"}
    done = {"phase": "completed", "backupId": "20260427T030000", "stoppedAt": "2026-04-27T03:01:00Z"}
    wire.on(
        f"{group}/backups",
        {
            "items": [
                {"metadata": {"name": "b", **made}, "spec": ours, "status": done},
                {"metadata": {"name": "a", "creationTimestamp": "2026-04-26T03:00:00Z"}, "spec": ours},
                {"metadata": {"name": "c", **made}, "spec": theirs},
                {"metadata": {"name": "d", **made}, "spec": {**ours, "method": "volumeSnapshot"}, "status": done},
            ]
        },
    )
    schedule = {"schedule": "0 0 3 * * *", "suspend": True}
    wire.on(
        f"{group}/scheduledbackups",
        {
            "items": [
                {
                    "metadata": {"name": "s"},
                    "spec": {**ours, **schedule},
                    "status": {"nextScheduleTime": "2026-04-28T03:00:00Z"},
                },
                {"metadata": {"name": "t"}, "spec": {**theirs, **schedule}},
            ]
        },
    )
    found = list_backup_objects(api, "data", "postgres-prod")
    assert [(run.name, run.phase, run.backup_id) for run in found.runs] == [
        ("a", "", ""),
        ("b", "completed", "20260427T030000"),
        ("d", "completed", ""),
    ]
    (one,) = found.schedules
    assert (one.name, one.suspended, one.next_at) == ("s", True, datetime(2026, 4, 28, 3, tzinfo=UTC))


def test_the_operator_is_known_by_its_image(api: KubernetesApi, wire: Wire) -> None:
    def deployment(name: str, image: str) -> dict[str, object]:
        pods = {"spec": {"containers": [{"image": image}]}}
        return {"metadata": {"name": name}, "spec": {"template": pods}, "status": {"readyReplicas": 1}}

    wire.on(
        "/apis/apps/v1/namespaces/ops/deployments",
        {
            "items": [
                deployment("other", "registry.test/other:1"),
                deployment("cnpg", "ghcr.test:5000/cloudnative-pg/cloudnative-pg:1.30.0@sha256:00"),
                deployment("barman-cloud", "ghcr.test/plugin-barman-cloud:v0.14.0"),
            ]
        },
    )
    found = find_operators(api, "ops", plugin_used=False)
    assert found.operator is not None
    assert found.plugin is not None
    assert (found.operator.version, found.operator.ready, found.plugin.version) == ("1.30.0", 1, "v0.14.0")


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        ("cloudnative-pg", "cloudnative-pg", ""),
        ("host:5000/a/b:v1", "b", "v1"),
        ("host:5000/a/b@sha256:00", "b", ""),
    ],
)
def test_an_images_reference_is_taken_apart(reference: str, name: str, tag: str) -> None:
    assert split_image(reference) == (name, tag)


def test_a_bucket_tells_of_itself_and_its_base_backups(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ObjectStoreDouble(bucket=BUCKET, page=2)) as store:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", store.url)
        rules = {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["prod/"]}}]}
        held = {"retentionPolicy": {"retentionPeriod": "2592000"}}
        store.on(f"/storage/v1/b/{BUCKET}", {"name": BUCKET, "location": "EU", "lifecycle": rules, **held})
        found = read_bucket(PLACE)
        assert found.held_seconds == 2592000  # C16
        assert (found.location, found.deletes[0].age_days, found.deletes[0].prefixes) == ("EU", 30, ("prod/",))
        for name, size in (("a/backup.info", 9), ("a/data.tar", 5), ("a/data_0001.tar", 6), ("b/backup.info", 9)):
            store.objects[f"prod/postgres-prod/base/{name}"] = b"x" * size
        assert base_backup_bytes(PLACE, "postgres-prod") == {"a": 11, "b": 0}


def test_the_buckets_settings_may_be_asked_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Google's Pulumi provider is led to another server."""
    with serving(ObjectStoreDouble(bucket=BUCKET)) as objects, serving(Wire()) as settings:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", objects.url)
        monkeypatch.setenv("GOOGLE_STORAGE_CUSTOM_ENDPOINT", f"{settings.url}/storage/v1/")
        settings.on(f"/storage/v1/b/{BUCKET}", {"name": BUCKET, "location": "EUROPE-NORTH1"})
        assert read_bucket(PLACE).location == "EUROPE-NORTH1"
        assert objects.asked == []


def test_a_client_certificate_tells_its_end(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    user = {
        "client-certificate-data": base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode(),
        "client-key-data": base64.b64encode(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        ).decode(),
    }
    assert own_ends(_api_of(tmp_path, user)) == {
        "the client certificate of context acme-prod": NOW + timedelta(days=90)
    }


def _api_of(tmp_path: Path, user: dict[str, str]) -> KubernetesApi:
    path = write_kubeconfig(tmp_path / "config", {"acme-prod": "https://kubernetes.acme.test"})
    document = yaml.safe_load(path.read_text())
    document["users"][0]["user"] = user
    path.write_text(yaml.safe_dump(document))
    return KubernetesApi(KubernetesAccess(context="acme-prod", kubeconfig=str(path)))


def _token(lives: timedelta) -> str:
    claims = {"iat": (NOW - lives).timestamp(), "exp": NOW.timestamp()}
    return f"x.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.y"


def test_a_token_that_is_kept_tells_its_end(tmp_path: Path) -> None:
    user = {"token": _token(timedelta(days=90))}
    assert own_ends(_api_of(tmp_path, user)) == {"the token of context acme-prod": NOW}
    assert own_ends(_api_of(tmp_path, {"token": "opaque"})) == {}


def test_a_token_that_is_short_lived_is_left_out(tmp_path: Path) -> None:
    assert own_ends(_api_of(tmp_path, {"token": _token(timedelta(hours=8))})) == {}
    (tmp_path / "token").write_text(_token(timedelta(days=90)))
    assert own_ends(_api_of(tmp_path, {"tokenFile": str(tmp_path / "token")})) == {}
