"""What of a source's specification is adapted, or looked at, for another Cluster's name."""

from dr.cnpg.recovered import identity_warning, named_by, probed_often, rescheduled

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


def test_a_service_account_that_nobody_has_bound_is_warned_of_with_the_command() -> None:
    spec = {"serviceAccountTemplate": {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": ACCOUNT}}}}
    (warning,) = identity_warning(spec, namespace="data", name="new", project="acme-project")
    assert f"add-iam-policy-binding {ACCOUNT} --project acme-project" in warning
    assert "'serviceAccount:acme-project.svc.id.goog[data/new]'" in warning


def test_one_that_is_given_by_name_is_bound_already() -> None:
    spec = {
        "serviceAccountName": "postgres",
        "serviceAccountTemplate": {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": ACCOUNT}}},
    }
    assert list(identity_warning(spec, namespace="data", name="new", project="p")) == []
    assert list(identity_warning({}, namespace="data", name="new", project="p")) == []


def test_the_recovered_pods_are_looked_at_every_second_unless_the_source_says_how_often() -> None:
    own = {"startup": {"periodSeconds": 5}, "liveness": {"timeoutSeconds": 9}}
    assert probed_often({})["startup"] == {"periodSeconds": 1}
    assert probed_often({"probes": own}) == {**own, "readiness": {"periodSeconds": 1, "failureThreshold": 30}}
