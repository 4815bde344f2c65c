"""The recovery stack's program under Pulumi mocks: what is registered, with which options."""

from typing import Any

import pytest

from dr.cnpg.recovered import RecoveredCluster
from dr.stacks.declaration import Declaration
from dr.stacks.recovery import declare_recovery_stack
from tests.support.builders import TARGET, a_recovered, an_environment
from tests.support.pulumi_monitor import Monitor, run_program

CLUSTER_TYPE = "kubernetes:postgresql.cnpg.io/v1:Cluster"
PROVIDER_TYPE = "pulumi:providers:kubernetes"


@pytest.fixture
def monitor() -> Monitor:
    return Monitor.installed("prod")


def _declare(
    monkeypatch: pytest.MonkeyPatch, *clusters: RecoveredCluster, external_name: str | None = None
) -> dict[str, Any]:
    """Run the program to its end, and return what it exports."""
    declaration = Declaration(clusters=clusters, external_name=external_name)
    return run_program(monkeypatch, lambda: declare_recovery_stack(an_environment(), declaration))


def test_a_recovered_cluster_is_one_resource_with_its_manifest(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = a_recovered()
    _declare(monkeypatch, cluster)
    assert monitor.of_type(CLUSTER_TYPE) == ["postgres-prod-recovered"]
    inputs = monitor.inputs("postgres-prod-recovered")
    assert inputs["spec"] == cluster.manifest["spec"]
    assert (inputs["apiVersion"], inputs["kind"]) == ("postgresql.cnpg.io/v1", "Cluster")
    assert inputs["metadata"]["name"] == "postgres-prod-recovered"
    assert inputs["metadata"]["namespace"] == "data"
    assert inputs["metadata"]["labels"] == cluster.manifest["metadata"]["labels"]


def test_its_annotations_are_kept_and_pulumi_waits_for_ready(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = a_recovered()
    _declare(monkeypatch, cluster)
    assert monitor.inputs(cluster.name)["metadata"]["annotations"] == {
        **cluster.manifest["metadata"]["annotations"],
        "pulumi.com/waitFor": "condition=Ready",
    }


def test_declaring_does_not_change_the_declaration(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = a_recovered()
    _declare(monkeypatch, cluster)
    assert cluster == a_recovered()


def test_it_is_protected_and_has_the_limit_as_its_timeouts(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(monkeypatch, a_recovered())
    request = monitor.requests["postgres-prod-recovered"]
    assert request.protect is True
    assert (request.customTimeouts.create, request.customTimeouts.update) == ("1200s", "1200s")


def test_it_is_declared_through_the_explicit_provider(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(monkeypatch, a_recovered())
    provider = monitor.requests["postgres-prod-recovered"].provider
    assert f"{PROVIDER_TYPE}::cluster::" in provider


def test_the_provider_has_the_environments_context_and_an_identity_of_its_own(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    _declare(monkeypatch)
    inputs = monitor.inputs("cluster")
    assert inputs["context"] == "acme-prod"
    assert inputs["clusterIdentifier"] == "acme-prod"


def test_no_kubeconfig_gets_into_the_state(monitor: Monitor, monkeypatch: pytest.MonkeyPatch, own_home: object) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere/config")
    _declare(monkeypatch)
    assert "kubeconfig" not in monitor.inputs("cluster")


def test_all_recoveries_are_declared_and_not_only_the_newest(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(monkeypatch, a_recovered("one"), a_recovered("two"), a_recovered("three"))
    assert monitor.of_type(CLUSTER_TYPE) == ["one", "two", "three"]


def test_without_recoveries_there_is_only_the_provider(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = _declare(monkeypatch)
    assert list(monitor.requests) == ["cluster"]
    assert exported == {
        "environment": "prod",
        "service": "data/prod-postgres",
        "clusters": [],
        "phase": "nothing recovered",
        "next": "python -m dr pitr --env prod --target-time TIME",
    }


def test_the_newest_recovery_is_exported(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = _declare(monkeypatch, a_recovered("one"), a_recovered("two", server_name="two-2"))
    assert exported == {
        "environment": "prod",
        "service": "data/prod-postgres",
        "clusters": ["one", "two"],
        "phase": "recovered",
        "next": "python -m dr switchover --env prod --recovered-name two",
        "cluster": "two",
        "target": TARGET.value,
        "serverName": "two-2",
        "host": "two-rw.data.svc.cluster.local",
    }


def test_traffic_is_a_patch_of_the_external_name_that_takes_the_field_over(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = _declare(monkeypatch, a_recovered("one"), external_name="one-rw.data.svc.cluster.local")
    inputs = monitor.inputs("traffic")
    assert monitor.of_type("kubernetes:core/v1:ServicePatch") == ["traffic"]
    assert inputs["spec"] == {"externalName": "one-rw.data.svc.cluster.local"}
    assert (inputs["metadata"]["name"], inputs["metadata"]["namespace"]) == ("prod-postgres", "data")
    assert inputs["metadata"]["annotations"] == {
        "pulumi.com/patchForce": "true",
        "pulumi.com/patchFieldManager": "postgres-dr",
    }
    assert monitor.requests["traffic"].retainOnDelete is True
    assert exported["externalName"] == "one-rw.data.svc.cluster.local"


def test_without_a_switchover_the_service_is_not_touched(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    _declare(monkeypatch, a_recovered("one"))
    assert "traffic" not in monitor.requests
