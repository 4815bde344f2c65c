"""What of a source's specification is adapted, or looked at, for another Cluster's name."""

from typing import Any

import pytest

from dr.cnpg.recovered import certificate_warning, identity_warning, named_by, probed_often, rescheduled
from tests.support.builders import BUCKET, a_source

ACCOUNT = "postgres@acme-project.iam.gserviceaccount.com"


def test_rules_about_the_clusters_own_pods_are_about_the_recovered_ones() -> None:
    # GIVEN
    spread = {"topologyKey": "zone", "labelSelector": {"matchLabels": {"cnpg.io/cluster": "postgres-prod"}}}
    expression = {"key": "cnpg.io/cluster", "operator": "In", "values": ["postgres-prod", "other"]}
    spec = {
        "topologySpreadConstraints": [spread],
        "affinity": {"additionalPodAntiAffinity": {"labelSelector": {"matchExpressions": [expression]}}},
        "postgresql": {"parameters": {"cnpg.io/cluster": "postgres-prod"}},
    }
    # WHEN
    adapted = rescheduled(spec, source="postgres-prod", name="new")
    # THEN
    (constraint,) = adapted["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"] == {"cnpg.io/cluster": "new"}
    rule = adapted["affinity"]["additionalPodAntiAffinity"]["labelSelector"]["matchExpressions"][0]
    assert rule["values"] == ["new", "other"]
    assert adapted["postgresql"] == spec["postgresql"], "nothing but scheduling is touched"
    assert spec["topologySpreadConstraints"] == [spread], "the source's own is left as it is"


def test_rules_about_other_pods_stay() -> None:
    other = {"matchLabels": {"cnpg.io/cluster": "other", "app": "postgres-prod"}}
    spec = {"topologySpreadConstraints": [{"labelSelector": other}]}
    assert rescheduled(spec, source="postgres-prod", name="new") == spec


def test_every_secret_that_a_specification_needs_is_named() -> None:
    spec = {
        "superuserSecret": {"name": "super"},
        "managed": {"roles": [{"name": "app", "passwordSecret": {"name": "role"}}, {"name": "bare"}]},
        "certificates": {"serverTLSSecret": "tls", "serverAltDNSNames": ["not-a-secret"]},
        "imagePullSecrets": [{"name": "pull"}],
        "env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}}],
        "envFrom": [{"secretRef": {"name": "all"}}, {"configMapRef": {"name": "map"}}],
    }
    key = {"applicationCredentials": {"name": "key", "key": "json"}, "gkeEnvironment": False}
    store = {"destinationPath": "gs://b", "googleCredentials": key}
    assert named_by(spec, store) == ("all", "b", "key", "pull", "role", "super", "tls")
    assert named_by({"instances": 1}, {}) == ()
    key = {"accessKeyId": {"name": "s3", "key": "id"}, "inheritFromIAMRole": False}
    assert named_by({}, {"s3Credentials": key, "endpointCA": {"name": "ca", "key": "ca.crt"}}) == ("ca", "s3")


_ANNOTATED = {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": ACCOUNT}}}


@pytest.mark.parametrize(
    "spec", [{"serviceAccountTemplate": _ANNOTATED}, {"inheritedMetadata": _ANNOTATED["metadata"]}], ids=str
)
def test_a_service_account_that_nobody_has_bound_is_warned_of_with_the_command(spec: dict[str, Any]) -> None:
    """E22."""
    (warning,) = identity_warning(a_source(**spec), namespace="data", name="new", project="acme-project")
    assert f"add-iam-policy-binding {ACCOUNT} --project acme-project" in warning
    assert "'serviceAccount:acme-project.svc.id.goog[data/new]'" in warning


@pytest.mark.parametrize(("writes", "role"), [(True, "objectAdmin"), (False, "objectViewer")])
def test_without_a_google_account_the_kubernetes_one_itself_has_to_be_let_in(writes: bool, role: str) -> None:
    """E22."""
    (warning,) = identity_warning(a_source(), namespace="data", name="new", project="acme-project", writes=writes)
    assert f"gcloud storage buckets add-iam-policy-binding gs://{BUCKET} --role roles/storage.{role}" in warning
    assert "workloadIdentityPools/acme-project.svc.id.goog/subject/ns/data/sa/new" in warning


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        ({"s3Credentials": {"inheritFromIAMRole": True}}, "trust policy has to name system:serviceaccount:data:new"),
        ({"azureCredentials": {"inheritFromAzureAD": True}}, "account: system:serviceaccount:data:new"),
    ],
)
def test_a_role_of_pods_in_another_cloud_is_warned_of(credentials: dict[str, Any], told: str) -> None:
    source = a_source(backup={"barmanObjectStore": {"destinationPath": "s3://b/prod", **credentials}})
    (warning,) = identity_warning(source, namespace="data", name="new", project="")
    assert told in warning


def test_one_that_is_given_by_name_or_not_used_is_bound_already() -> None:
    named = a_source(serviceAccountName="postgres", serviceAccountTemplate=_ANNOTATED)
    keyed = a_source(backup={"barmanObjectStore": {"destinationPath": "gs://b/prod", "googleCredentials": {}}})
    for source in (named, keyed):
        assert list(identity_warning(source, namespace="data", name="new", project="p")) == []


def test_the_recovered_pods_are_looked_at_every_second_unless_the_source_says_how_often() -> None:
    own = {"startup": {"periodSeconds": 5}, "liveness": {"timeoutSeconds": 9}}
    assert probed_often({})["startup"] == {"periodSeconds": 1}
    assert probed_often({"probes": own}) == {**own, "readiness": {"periodSeconds": 1, "failureThreshold": 30}}


@pytest.mark.parametrize(
    ("given", "told", "not_told"),
    [
        ({}, "to trust, and those that log in by a certificate", "nothing"),
        ({"serverCASecret": "ca"}, "clients that log in by a certificate", "verify-full"),
        ({"clientCASecret": "ca"}, "clients with sslmode verify-ca or verify-full need", "log in"),
    ],
    ids=["both", "clients", "server"],
)
def test_clients_that_look_at_the_ca_are_warned_of_a_new_one(given: dict[str, str], told: str, not_told: str) -> None:
    """E20."""
    (warning,) = certificate_warning({"certificates": given}, name="new")
    assert told in warning
    assert not_told not in warning.replace("new-ca", "")
    assert "Secret new-ca" in warning


def test_a_ca_that_is_given_is_the_same_for_both() -> None:
    """E20."""
    given = {"certificates": {"serverCASecret": "ca", "clientCASecret": "ca"}}
    assert list(certificate_warning(given, name="new")) == []
