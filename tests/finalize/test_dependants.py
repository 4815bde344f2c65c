"""What belongs to a Cluster, and is made anew for the one that takes its place."""

from typing import Any

import pytest

from dr.finalize.dependants import Dependant, Kinds, strings_in, successor_name, successors, unmade
from tests.support.builders import a_record, a_scheduled_backup


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
    made = successors([pool, a_scheduled_backup()], [], cluster="new", namespace="data", held={})
    assert [one["metadata"] for one in made] == [
        {"name": "pool", "namespace": "data", "labels": {"team": "shop"}},
        {"name": "new", "namespace": "data"},
    ]
    assert [one["spec"]["cluster"] for one in made] == [{"name": "new"}] * 2
    assert made[0]["spec"]["instances"] == 2


SPEC = {**a_scheduled_backup().manifest["spec"], "cluster": {"name": "new"}}


def _dependant(kind: str, called: str, **spec: object) -> Dependant:
    raw = {
        "metadata": {"name": called, "namespace": "data", "uid": called},
        "spec": {"cluster": {"name": "old"}, **spec},
    }
    return Dependant.from_object(kind, {"apiVersion": "postgresql.cnpg.io/v1", **raw})


def test_what_git_does_not_declare_is_moved_as_it_is() -> None:
    """C1: a Pooler or Database of an application, in another folder, was deleted and not made again."""
    pool, base = _dependant("Pooler", "pool", instances=2), _dependant("Database", "reporting", name="reporting")
    declared = {"kind": "ScheduledBackup", "metadata": {"name": "new"}, "spec": SPEC}
    made = successors([a_scheduled_backup(), pool, base], [declared], cluster="new", namespace="data", held={})
    assert [(one["kind"], one["metadata"]["name"]) for one in made] == [
        ("ScheduledBackup", "new"),
        ("Pooler", "pool"),
        ("Database", "reporting"),
    ]
    assert all(one["spec"]["cluster"] == {"name": "new"} for one in made)


def test_a_role_of_the_cluster_is_moved_too() -> None:
    """E15: CloudNativePG 1.30's DatabaseRole stayed bound to the deleted Cluster."""
    role = _dependant("DatabaseRole", "reporting", name="reporting", login=True)
    (made,) = successors([role], [], cluster="new", namespace="data", held={})
    assert (made["kind"], made["spec"]["cluster"], made["spec"]["login"]) == ("DatabaseRole", {"name": "new"}, True)


def test_a_second_schedule_that_git_does_not_declare_is_moved_too() -> None:
    """C1: one document of a kind stood for all of it."""
    hourly = _dependant("ScheduledBackup", "hourly", schedule="0 0 * * * *")
    declared = {"kind": "ScheduledBackup", "metadata": {"name": "new"}, "spec": SPEC}
    made = successors([a_scheduled_backup(), hourly], [declared], cluster="new", namespace="data", held={})
    assert [one["metadata"]["name"] for one in made] == ["new", "hourly"]


@pytest.mark.parametrize(
    ("held", "paused"),
    [({"Pooler data/pool": None}, None), ({"Pooler data/pool": False}, False), ({}, True)],
    ids=["held by us, not set before", "held by us, set before", "paused by its owner"],
)
def test_our_own_pause_is_not_taken_for_its_owners(held: dict[str, object], paused: bool | None) -> None:
    """E13: the Pooler was made again paused, for good, and nobody knew why."""
    pool = _dependant("Pooler", "pool", pgbouncer={"poolMode": "session", "paused": True})
    (made,) = successors([pool], [], cluster="new", namespace="data", held=held)
    assert made["spec"]["pgbouncer"] == {"poolMode": "session", **({} if paused is None else {"paused": paused})}


def test_what_git_declares_comes_before_what_is_there() -> None:
    declared = {"kind": "ScheduledBackup", "metadata": {"name": "new"}, "spec": {**SPEC, "schedule": "0 0 4 * * *"}}
    cluster = {"kind": "Cluster", "metadata": {"name": "new"}, "spec": {}}
    made = successors([a_scheduled_backup()], [cluster, declared], cluster="new", namespace="data", held={})
    assert [(one["metadata"], one["spec"]["schedule"]) for one in made] == [
        ({"name": "new", "namespace": "data"}, "0 0 4 * * *")
    ]


def test_two_that_are_alike_are_two() -> None:
    """C1: Git declares one of two Poolers of the same specification."""
    pools = [_dependant("Pooler", name, instances=2) for name in ("pool-a", "pool-b")]
    declared = {"kind": "Pooler", "metadata": {"name": "pool-a"}, "spec": {"cluster": {"name": "new"}, "instances": 2}}
    made = successors(pools, [declared], cluster="new", namespace="data", held={})
    assert [one["metadata"]["name"] for one in made] == ["pool-a", "pool-b"]


def test_schedules_of_two_generations_do_not_take_each_others_name() -> None:
    """C1: both bear their Cluster's name, and so would the new Cluster's."""
    first, second = a_scheduled_backup(), _dependant("ScheduledBackup", "old", schedule="0 0 5 * * *")
    made = successors([first, second], [], cluster="new", namespace="data", held={})
    assert [(one["metadata"]["name"], one["spec"]["schedule"]) for one in made] == [
        ("new", "0 0 3 * * *"),
        ("old", "0 0 5 * * *"),
    ]


def test_what_is_carried_only_grows_until_the_end() -> None:
    """C1: a second run that was stopped between deleting and making lost what the first had not wanted."""
    one, other = ({"kind": "Pooler", "metadata": {"name": name}} for name in ("a", "b"))
    changed = {**one, "spec": {"instances": 5}}
    assert a_record().carrying([one]).carrying([changed, other]).carried == (one, other)


def test_what_is_there_for_the_new_cluster_is_not_made_twice() -> None:
    wanted = successors([a_scheduled_backup()], [], cluster="new", namespace="data", held={})
    there = a_scheduled_backup("new", "new")
    assert list(unmade(wanted, [there], cluster="new")) == []
    same_name_old_cluster = a_scheduled_backup("new", "postgres-prod")
    assert list(unmade(wanted, [same_name_old_cluster], cluster="new")) == list(wanted)


def test_a_secret_is_found_wherever_a_specification_names_it() -> None:
    spec = {
        "containers": [{"envFrom": [{"secretRef": {"name": "a-app"}}], "image": "a-apple"}],
        "volumes": [{"projected": {"sources": [{"secret": {"name": "a-ca"}}]}}],
    }
    assert strings_in(spec, {"a-app", "a-ca", "a-server"}) == {"a-app", "a-ca"}


def _openapi(**specs: dict[str, Any]) -> dict[str, Any]:
    """What the API server says of a group whose kinds have these schemas of their ``spec``."""
    kinds = {kind: {"group": "postgresql.cnpg.io", "version": "v1", "kind": kind} for kind in specs}
    names = {kind: "io.cnpg.postgresql.v1." + kind for kind in specs}
    base = "/apis/postgresql.cnpg.io/v1"
    lists = {
        f"{base}/namespaces/{{namespace}}/{kind.lower()}s": {"get": {"x-kubernetes-group-version-kind": kinds[kind]}}
        for kind in specs
    }
    schemas = {
        names[kind]: {"properties": {"spec": spec} if spec else {}, "x-kubernetes-group-version-kind": [kinds[kind]]}
        for kind, spec in specs.items()
    }
    others = {f"{path}/{{name}}": calls for path, calls in lists.items()}
    return {"paths": {base + "/": {"get": {}}, **lists, **others}, "components": {"schemas": schemas}}


def _fields(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields}


OF_A_CLUSTER = _fields(cluster=_fields(name={"type": "string"}))


def test_the_api_server_says_which_kinds_belong_to_a_cluster() -> None:
    """E15: a list by hand lacks what the next version of CloudNativePG has."""
    found = Kinds.from_openapi(
        _openapi(
            Cluster=_fields(externalClusters={"type": "array"}),
            Backup=OF_A_CLUSTER,
            Pooler=OF_A_CLUSTER,
            NewKind=OF_A_CLUSTER,
            ImageCatalog=_fields(images={"type": "array", "items": _fields(image={"type": "string"})}),
            FailoverQuorum={},
        )
    )
    assert found == Kinds(plurals={"Pooler": "poolers", "NewKind": "newkinds"}, unclear={})


@pytest.mark.parametrize(
    "spec",
    [
        _fields(clusterRef=_fields(name={"type": "string"})),
        _fields(cluster={"type": "string"}),
        _fields(targets={"type": "array", "items": _fields(clusterName={"type": "string"})}),
        _fields(byName={"type": "object", "additionalProperties": _fields(cluster={"type": "string"})}),
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    ],
)
def test_a_kind_that_names_clusters_in_another_way_is_not_passed_over(spec: dict[str, Any]) -> None:
    """E15: its objects would stay, bound to a Cluster that is gone."""
    assert Kinds.from_openapi(_openapi(Shadow=spec)) == Kinds(plurals={}, unclear={"Shadow": "shadows"})


def test_what_an_abandoned_run_has_carried_is_of_the_cluster_that_serves_now() -> None:
    """C1: a finalize was stopped, rolled back, and another recovery made."""
    left = {"kind": "Pooler", "metadata": {"name": "pool"}, "spec": {"cluster": {"name": "abandoned"}, "instances": 2}}
    (made,) = successors([], [left], cluster="new", namespace="data", held={})
    assert made["spec"] == {"cluster": {"name": "new"}, "instances": 2}
