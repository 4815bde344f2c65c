"""The infrastructure's programs under Pulumi mocks: what is registered, with which options and locks."""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from dr.config.infrastructure import StackConfig
from dr.stacks.infrastructure import declare_infrastructure
from dr.stacks.resources import component_urn, resources_of
from tests.support.infra_fixtures import BACKUPS, NODES, PROJECT, a_durable, a_platform
from tests.support.pulumi_monitor import Monitor, run_program

MACHINE = ("GOOGLE_PROJECT", "GOOGLE_REGION", "GOOGLE_ZONE", "GOOGLE_CREDENTIALS", "CLOUDSDK_COMPUTE_ZONE")


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declares a part, and returns what was registered and what was exported."""

    def declare(part: StackConfig, imports: Mapping[str, str] | None = None) -> tuple[Monitor, dict[str, Any]]:
        monitor = Monitor.installed(part.name)
        return monitor, run_program(monkeypatch, lambda: declare_infrastructure(part, imports))

    return declare


COPY = a_durable(
    backup={"bucket": "copy-of-acme", "location": "EUROPE-WEST1", "account": "db-backups", "holdsAccount": False}
).model_copy(update={"name": "copy"})


@pytest.mark.parametrize("part", [a_durable(), COPY, a_platform()], ids=lambda part: part.name)
def test_the_table_of_resources_is_what_the_program_declares(declared: Any, part: StackConfig) -> None:
    monitor, _ = declared(part)
    found = {
        (name, request.type, _parent(request))
        for name, request in monitor.requests.items()
        if request.type.startswith("gcp:")
    }
    assert found == {
        (resource.name, resource.type, f"{resource.component.token}::{resource.component.name}")
        for resource in resources_of(part)
    }


def _parent(request: Any) -> str:
    """Type and name of what a resource stands below."""
    types, _, name = request.parent.removeprefix("urn:pulumi:").split("::", 2)[2].rpartition("::")
    return f"{types.rpartition('$')[2]}::{name}"


def test_a_resource_is_known_by_its_urn() -> None:
    bucket, *_ = resources_of(a_durable())
    assert bucket.urn("durable") == (
        "urn:pulumi:durable::postgres-dr::postgres-dr:infrastructure:BackupStore$gcp:storage/bucket:Bucket::backup-bucket"
    )
    assert component_urn(bucket.component, "durable") == (
        "urn:pulumi:durable::postgres-dr::postgres-dr:infrastructure:BackupStore::backup"
    )


@pytest.mark.parametrize("part", [a_durable(), a_platform()], ids=lambda part: part.name)
def test_everything_goes_through_the_one_explicit_provider(declared: Any, part: StackConfig) -> None:
    monitor, _ = declared(part)
    assert monitor.of_type("pulumi:providers:gcp") == ["google"]
    providers = {
        request.provider for request in monitor.requests.values() if request.type.startswith(("gcp:", "command:"))
    }
    assert all("::google::" in provider or "::shell::" in provider for provider in providers), providers


@pytest.mark.parametrize("part", [a_durable(), a_platform()], ids=lambda part: part.name)
def test_nothing_of_this_machine_gets_into_the_state(
    declared: Any, part: StackConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in MACHINE:
        monkeypatch.setenv(name, "of-this-machine")
    monitor, _ = declared(part)
    assert monitor.inputs("google") == {"project": PROJECT, "addPulumiAttributionLabel": "false"}
    assert "of-this-machine" not in str([made.inputs for made in monitor.mocked.made])


def test_the_bucket_of_a_copy_is_used_by_an_account_that_another_stack_holds(declared: Any) -> None:
    monitor, exported = declared(COPY)
    assert "backup-account" not in monitor.requests
    grants = [monitor.inputs(name) for name in monitor.of_type("gcp:storage/bucketIAMMember:BucketIAMMember")]
    assert {(grant["bucket"], grant["member"]) for grant in grants} == {("copy-of-acme", f"serviceAccount:{BACKUPS}")}
    assert exported["account"] == BACKUPS


def test_the_bucket_is_the_runbooks(declared: Any) -> None:
    monitor, exported = declared(a_durable())
    assert monitor.inputs("backup-bucket") == {
        "name": "backups-of-acme",
        "project": PROJECT,
        "location": "EUROPE-WEST4",
        "storageClass": "STANDARD",
        "uniformBucketLevelAccess": True,
        "publicAccessPrevention": "enforced",
        "forceDestroy": False,
        "deletionPolicy": "PREVENT",
        "lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 30}}],
        "softDeletePolicy": {"retentionDurationSeconds": 7 * 86400},
    }
    assert exported["account"] is not None


@pytest.mark.parametrize("name", ["backup-bucket", "backup-account"])
def test_what_is_precious_has_each_lock(declared: Any, name: str) -> None:
    monitor, _ = declared(a_durable())
    request = monitor.requests[name]
    assert (request.protect, request.retainOnDelete) == (True, True)
    assert monitor.inputs(name)["deletionPolicy"] == "PREVENT"


def test_versions_that_are_not_current_go_in_time(declared: Any) -> None:
    backup = {"bucket": "backups-of-acme", "location": "eu", "account": "db-backups", "versioning": True}
    monitor, _ = declared(a_durable(backup=backup))
    inputs = monitor.inputs("backup-bucket")
    assert inputs["versioning"] == {"enabled": True}
    assert inputs["lifecycleRules"][1]["condition"] == {"daysSinceNoncurrentTime": 7, "withState": "ARCHIVED"}


def test_the_account_may_use_the_objects_and_see_the_bucket(declared: Any) -> None:
    monitor, _ = declared(a_durable())
    members = monitor.of_type("gcp:storage/bucketIAMMember:BucketIAMMember")
    assert {monitor.inputs(name)["role"] for name in members} == {
        "roles/storage.objectAdmin",
        "roles/storage.legacyBucketReader",
    }
    for name in members:
        assert monitor.inputs(name)["member"] == f"serviceAccount:{BACKUPS}"
        assert monitor.requests[name].retainOnDelete is True


def test_the_cluster_has_private_nodes_workload_identity_and_a_name_to_be_reached_by(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    inputs = monitor.inputs("cluster")
    assert inputs["privateClusterConfig"]["enablePrivateNodes"] is True
    assert inputs["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}
    assert inputs["controlPlaneEndpointsConfig"] == {"dnsEndpointConfig": {"allowExternalTraffic": True}}
    assert inputs["releaseChannel"] == {"channel": "REGULAR"}
    assert inputs["ipAllocationPolicy"] == {
        "clusterSecondaryRangeName": "pods",
        "servicesSecondaryRangeName": "services",
    }
    assert (inputs["network"], inputs["subnetwork"]) == ("network-id", "subnet-id")


def test_the_cluster_is_locked_twice_and_not_replaced_for_how_it_was_made(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    request = monitor.requests["cluster"]
    assert (request.protect, request.retainOnDelete) == (True, False)
    assert monitor.inputs("cluster")["deletionProtection"] is True
    assert list(request.ignoreChanges) == ["initialNodeCount", "removeDefaultNodePool"]


def test_a_cluster_that_is_to_go_says_so_first(declared: Any) -> None:
    cluster = {"name": "acme", "controlPlane": "172.16.0.0/28", "deletionProtection": False}
    monitor, _ = declared(a_platform(cluster=cluster))
    assert monitor.inputs("cluster")["deletionProtection"] is False


def test_pools_are_spot_or_not_and_their_size_is_the_autoscalers(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    pools = monitor.of_type("gcp:container/nodePool:NodePool")
    assert {name: monitor.inputs(name)["nodeConfig"]["spot"] for name in pools} == {
        "pool-steady": False,
        "pool-spot": True,
    }
    for name in pools:
        assert monitor.inputs(name)["nodeConfig"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
        assert list(monitor.requests[name].ignoreChanges) == ["initialNodeCount", "nodeCount"]
        assert monitor.requests[name].deleteBeforeReplace is True
        waited_for = {urn.rpartition("::")[2] for urn in monitor.requests[name].dependencies}
        assert waited_for >= {"node-role-defaultNodeServiceAccount", "node-role-reader", "node-account", "cluster"}


def test_the_nodes_have_an_account_with_the_least_that_gke_asks_for(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    roles = monitor.of_type("gcp:projects/iAMMember:IAMMember")
    assert {monitor.inputs(name)["role"] for name in roles} == {
        "roles/container.defaultNodeServiceAccount",
        "roles/artifactregistry.reader",
    }
    assert {monitor.inputs(name)["member"] for name in roles} == {f"serviceAccount:{NODES}"}


def test_every_name_that_a_cluster_may_get_may_use_the_backups(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    grants = monitor.of_type("gcp:serviceaccount/iAMMember:IAMMember")
    assert {monitor.inputs(name)["member"] for name in grants} == {
        f"serviceAccount:{PROJECT}.svc.id.goog[data/{name}]"
        for name in (
            "postgres-prod",
            "postgres-prod-recovered",
            "postgres-prod-scratch",
            "postgres-prod-recovered-scratch",
            "postgres-prod-drill",
            "postgres-prod-recovered-drill",
        )
    }
    for name in grants:
        request = monitor.requests[name]
        assert request.retainOnDelete is True
        assert any(urn.endswith("::cluster") for urn in request.dependencies), "the pool comes with the cluster"


def test_there_is_no_key_file_anywhere(declared: Any) -> None:
    for part in (a_durable(), a_platform()):
        monitor, _ = declared(part)
        types = {request.type for request in monitor.requests.values()}
        assert not [typ for typ in types if re.search("key", typ, re.IGNORECASE)]


def test_gcloud_is_run_where_there_is_one_and_again_for_another_cluster(declared: Any) -> None:
    monitor, _ = declared(a_platform())
    inputs = monitor.inputs("get-credentials")
    assert inputs["create"].startswith(
        "if command -v gcloud >/dev/null; then gcloud container clusters get-credentials"
    )
    assert "acme --location europe-west4 --project acme-project" in inputs["create"]
    assert "triggers" in inputs


def test_gcloud_can_be_left_out(declared: Any) -> None:
    monitor, _ = declared(a_platform(operatorCredentials=False))
    assert [name for name, request in monitor.requests.items() if request.type.startswith("command:")] == []
    assert monitor.of_type("pulumi:providers:command") == []


@pytest.mark.parametrize("part", [a_durable(), a_platform()], ids=lambda part: part.name)
def test_what_exists_is_imported_and_what_does_not_is_made(declared: Any, part: StackConfig) -> None:
    resources = resources_of(part)
    imports = {resource.name: resource.import_id for resource in resources[::2]}
    monitor, _ = declared(part, imports)
    for resource in resources:
        assert monitor.requests[resource.name].importId == imports.get(resource.name, "")
