"""Backups in S3, or in a store that speaks its protocol: what is read, by whom, and how each way of failing is told."""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dr.archive.bucket import DeleteRule
from dr.archive.reader import list_server_names, open_archive, read_archives, read_catalogue, stored_bytes
from dr.archive.s3 import delete_rules
from dr.archive.store import MissingObjectError, store_of
from dr.archive.wal_reader import sampled
from dr.cnpg.cluster_copies import find_copy, keep_copy
from dr.config.backup_location import BackupLocation
from dr.config.kubernetes_access import KubernetesAccess
from dr.core.errors import AccessError
from tests.support.archives import SYSTEM, backup, put_backup, put_history, put_wal, switch, wal
from tests.support.builders import BUCKET, NOW, a_source, by_plugin, cluster_object
from tests.support.doubles import ObjectStoreDouble, Wire, closed_port, serving, write_kubeconfig
from tests.support.s3 import KEYS, MINIO, put_all, s3_bucket, s3_place

SERVER = "postgres-prod"
CLUSTERS = "/apis/postgresql.cnpg.io/v1/namespaces/data/clusters"

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def s3(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket with the archive ``postgres-prod``: a base backup, five segments, and a history file."""
    written = ObjectStoreDouble(bucket=BUCKET)
    put_backup(written, SERVER, backup(3))
    put_wal(written, SERVER, wal(range(1, 6)), suffix=".gz")
    put_history(written, SERVER, 2, [switch(1, 4.5)])
    with s3_bucket(monkeypatch) as client:
        put_all(client, written)
        yield client


def test_an_archive_in_s3_is_read_as_one_in_cloud_storage(s3: Any) -> None:
    (found,) = read_archives(s3_place())
    assert (found.server_name, found.backups, found.segments) == (SERVER, (backup(3),), {1: (1, 2, 3, 4, 5)})
    assert found.histories == {2: (switch(1, 4.5),)}
    made = found.archived(1, 5)
    assert made is not None
    assert made.utcoffset() == UTC.utcoffset(None)
    assert read_catalogue(s3_place(), SERVER).backups == (backup(3),)
    assert list_server_names(s3_place()) == {SERVER}
    assert stored_bytes(s3_place(), SERVER, "backup-3") > 0


def test_first_pages_are_read_by_their_range(s3: Any) -> None:
    found = sampled(open_archive(s3_place(), SERVER))
    assert set(found.read.values()) == {SYSTEM}
    assert (len(found.read), found.damaged, found.unasked) == (5, {}, {})


def test_every_page_of_a_listing_is_read(s3: Any) -> None:
    put_all(s3, {f"prod/{SERVER}/base/many/{number:04}": b"x" for number in range(1003)})
    assert stored_bytes(s3_place(), SERVER, "many") == 1003


def test_a_store_of_another_maker_is_reached_by_its_endpoint(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_bucket(monkeypatch):
        import boto3

        other = boto3.client("s3", endpoint_url=MINIO, region_name="us-east-1")
        put_all(other, {"main/base/x/data.tar": b"half"})
        place = s3_place("", endpointURL=MINIO, region="us-east-1", addressingStyle="path")
        assert list_server_names(place) == {"main"}


def test_the_copy_of_a_cluster_is_kept_beside_its_backups(s3: Any) -> None:
    assert find_copy(s3_place(), SERVER) is None
    keep_copy(s3_place(), a_source(), NOW)
    copy = find_copy(s3_place(), SERVER)
    assert copy is not None
    assert copy.cluster.spec == a_source().spec


def test_the_buckets_own_settings_are_read(s3: Any) -> None:
    store = store_of(s3_place())
    assert (store.facts().location, store.facts().deletes) == ("eu-central-1", ())
    rule = {"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "prod/"}, "Expiration": {"Days": 30}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    assert store.facts().deletes == (DeleteRule(age_days=30, prefixes=("prod/",)),)


def test_rules_are_read_as_s3_gives_them() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    both = {"And": {"Prefix": "prod/", "ObjectSizeGreaterThan": 1000}}
    rules = [
        {"Status": "Enabled", "Prefix": "dev/", "Expiration": {"Days": 9}},
        {"Status": "Enabled", "Filter": both, "Expiration": {"Days": 7}},
        {"Status": "Enabled", "Filter": {}, "Expiration": {"Date": day}},
        # What follows deletes nothing that is current.
        {"Status": "Disabled", "Filter": {}, "Expiration": {"Days": 1}},
        {"Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
    ]
    assert list(delete_rules(rules)) == [
        DeleteRule(age_days=9, prefixes=("dev/",)),
        DeleteRule(age_days=7, prefixes=("prod/",), condition="ObjectSizeGreaterThan 1000"),
        DeleteRule(age_days=None, condition=f"Date {day}"),
    ]


def test_an_object_that_is_not_there_is_told_apart(s3: Any) -> None:
    with pytest.raises(MissingObjectError):
        store_of(s3_place()).part("prod/nothing", 0, 10)


def _refused(call: Callable[[], object]) -> AccessError:
    with pytest.raises(AccessError) as refused:
        call()
    assert refused.value.remedy
    return refused.value


@pytest.fixture
def at_wire(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Wire, BackupLocation]]:
    """A store that answers as a test has it, and the place in it."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with serving(Wire()) as wire:
        yield wire, s3_place(endpointURL=wire.url, region="us-east-1", addressingStyle="path")


@pytest.mark.parametrize(
    ("status", "s3_code", "message", "code", "told"),
    [
        (404, "NoSuchBucket", "", "bucket-missing", BUCKET),
        (403, "AccessDenied", "", "bucket-forbidden", "access key AKIAACME"),
        (403, "InvalidAccessKeyId", "", "store-credentials", "InvalidAccessKeyId"),
        (400, "ExpiredToken", "", "store-credentials", "ExpiredToken"),
        (400, "KMS.DisabledException", "the key is disabled", "archive-encrypted", "is disabled"),
        (403, "AccessDenied", "not authorized to perform: kms:Decrypt", "archive-encrypted", "kms:Decrypt"),
        (503, "SlowDown", "", "bucket-unreachable", "SlowDown"),
    ],
)
def test_a_refusal_is_told_by_its_kind_without_trying_again(
    at_wire: tuple[Wire, BackupLocation], status: int, s3_code: str, message: str, code: str, told: str
) -> None:
    wire, place = at_wire
    answer = f"<Error><Code>{s3_code}</Code><Message>{message}</Message></Error>".encode()
    wire.on(f"/{BUCKET}", answer, status=status)
    refused = _refused(lambda: read_catalogue(place, SERVER))
    assert (refused.code, told in refused.cause) == (code, True)
    assert len(wire.asked) == 1


def test_a_store_without_the_question_says_so(at_wire: tuple[Wire, BackupLocation]) -> None:
    wire, place = at_wire
    wire.on(f"/{BUCKET}", b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>", status=501)
    assert _refused(store_of(place).facts).code == "bucket-settings-unknown"


def test_a_store_that_is_not_there_is_told_with_how_to_see_it(at_wire: tuple[Wire, BackupLocation]) -> None:
    place = s3_place(endpointURL=closed_port())
    refused = _refused(lambda: list_server_names(place))
    assert refused.code == "bucket-unreachable"
    assert f"aws s3 ls s3://{BUCKET}/prod/ --endpoint-url {place.endpoint_url}" in refused.remedy


def test_missing_credentials_are_told(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    refused = _refused(lambda: list_server_names(s3_place(endpointURL=closed_port())))
    assert (refused.code, "aws sso login" in refused.remedy) == ("store-credentials", True)


def test_a_missing_client_is_told_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dr.config.extras.distributions", lambda **_: ())
    refused = _refused(lambda: store_of(s3_place()))
    assert (refused.code, "'postgres-dr[s3]'" in refused.remedy) == ("extra-missing", True)


OF_CLUSTER = {
    "destinationPath": f"s3://{BUCKET}/prod/",
    "endpointURL": "http://minio.minio.svc:9000",
    "s3Credentials": {
        "accessKeyId": {"name": "s3-keys", "key": "id"},
        "secretAccessKey": {"name": "s3-keys", "key": "secret"},
    },
}


@pytest.fixture
def of_cluster(own_home: Path, wire: Wire, tmp_path: Path) -> BackupLocation:
    """A place that is read with the keys of the Cluster that archives there."""
    place = s3_place(credentials="cluster")
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", {"acme-prod": wire.url})
    place.belongs_to(KubernetesAccess(context="acme-prod", kubeconfig=str(kubeconfig)), "data")
    data = {key: base64.b64encode(value.encode()).decode() for key, value in (("id", "AKIACLUSTER"), ("secret", "s"))}
    wire.on("/api/v1/namespaces/data/secrets/s3-keys", {"metadata": {}, "data": data})
    return place


@pytest.mark.parametrize("by", ["in-tree", "plugin"])
def test_the_keys_may_be_the_clusters_own(of_cluster: BackupLocation, wire: Wire, by: str) -> None:
    spec = {"backup": {"barmanObjectStore": OF_CLUSTER}} if by == "in-tree" else by_plugin()
    wire.on(CLUSTERS, {"items": [cluster_object("dev", backup=None), cluster_object(**spec)]})
    wire.on(
        "/apis/barmancloud.cnpg.io/v1/namespaces/data/objectstores/prod-store", {"spec": {"configuration": OF_CLUSTER}}
    )
    with serving(Wire()) as store:
        place = of_cluster.model_copy(update={"endpoint_url": store.url, "addressing_style": "path"})
        answer = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        store.on(f"/{BUCKET}", answer, status=403)
        assert "access key AKIACLUSTER" in _refused(lambda: list_server_names(place)).cause


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], f"no Cluster in data archives to s3://{BUCKET}/prod"),
        ([cluster_object()], f"no Cluster in data archives to s3://{BUCKET}/prod"),
        (
            [
                cluster_object(
                    backup={"barmanObjectStore": {**OF_CLUSTER, "s3Credentials": {"inheritFromIAMRole": True}}}
                )
            ],
            "by a role of their pods",
        ),
        (
            [
                cluster_object(
                    backup={
                        "barmanObjectStore": {**OF_CLUSTER, "s3Credentials": {"accessKeyId": {"name": "x", "key": "y"}}}
                    }
                )
            ],
            "no key y in a Secret data/x",
        ),
    ],
)
def test_a_cluster_without_keys_to_lend_is_told(
    of_cluster: BackupLocation, wire: Wire, items: list[dict[str, Any]], told: str
) -> None:
    wire.on(CLUSTERS, {"items": items})
    wire.on("/api/v1/namespaces/data/secrets/x", {"metadata": {}, "data": {}})
    refused = _refused(lambda: store_of(of_cluster))
    assert (refused.code, told in refused.cause) == ("store-credentials", True)
