"""What belongs to a Cluster, and is made anew for the one that takes its place."""

import pytest

from dr.model.finalization.dependants import Dependant, named_secrets, successor_name, successors, unmade
from tests.builders import a_scheduled_backup


@pytest.mark.parametrize(
    ("name", "former", "then"),
    [
        ("postgres-prod", "postgres-prod", "postgres-prod-recovered"),
        ("postgres-prod-daily", "postgres-prod", "postgres-prod-recovered-daily"),
        ("daily", "postgres-prod", "daily"),
        ("postgres-production", "postgres-prod", "postgres-production"),
    ],
)
def test_a_name_after_the_old_cluster_becomes_one_after_the_new(name: str, former: str, then: str) -> None:
    assert successor_name(name, former, "postgres-prod-recovered") == then


def test_without_git_each_is_made_anew_from_itself_without_others_marks() -> None:
    raw = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "metadata": {
            "name": "pool",
            "namespace": "data",
            "uid": "1",
            "labels": {"team": "shop"},
            "annotations": {"argocd.argoproj.io/tracking-id": "x", "kubectl.kubernetes.io/last-applied": "y"},
        },
        "spec": {"cluster": {"name": "postgres-prod"}, "instances": 2},
    }
    pool = Dependant.from_object("Pooler", raw)
    made = successors([pool, a_scheduled_backup()], [], cluster="new", namespace="data")
    assert [one["metadata"] for one in made] == [
        {"name": "pool", "namespace": "data", "labels": {"team": "shop"}},
        {"name": "new", "namespace": "data"},
    ]
    assert [one["spec"]["cluster"] for one in made] == [{"name": "new"}] * 2
    assert made[0]["spec"]["instances"] == 2


def test_what_git_declares_comes_before_what_is_there() -> None:
    declared = {"kind": "ScheduledBackup", "metadata": {"name": "nightly"}, "spec": {"cluster": {"name": "new"}}}
    cluster = {"kind": "Cluster", "metadata": {"name": "new"}, "spec": {}}
    made = successors([a_scheduled_backup()], [cluster, declared], cluster="new", namespace="data")
    assert [one["metadata"] for one in made] == [{"name": "nightly", "namespace": "data"}]


def test_what_is_there_for_the_new_cluster_is_not_made_twice() -> None:
    wanted = successors([a_scheduled_backup()], [], cluster="new", namespace="data")
    there = a_scheduled_backup("new", "new")
    assert list(unmade(wanted, [there], cluster="new")) == []
    same_name_old_cluster = a_scheduled_backup("new", "postgres-prod")
    assert list(unmade(wanted, [same_name_old_cluster], cluster="new")) == list(wanted)


def test_a_secret_is_found_wherever_a_specification_names_it() -> None:
    spec = {
        "containers": [{"envFrom": [{"secretRef": {"name": "a-app"}}], "image": "a-apple"}],
        "volumes": [{"projected": {"sources": [{"secret": {"name": "a-ca"}}]}}],
    }
    assert named_secrets(spec, {"a-app", "a-ca", "a-server"}) == {"a-app", "a-ca"}
