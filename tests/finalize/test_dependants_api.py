"""What goes with a Cluster and who uses it, asked of a double of the Kubernetes API."""

from collections.abc import Iterator
from typing import Any

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.clusters import delete_cluster
from dr.core.errors import AccessError, StepFailedError
from dr.finalize.dependants import Kinds
from dr.finalize.dependants_api import (
    create,
    delete_dependant,
    delete_leftovers,
    dry_run_differences,
    list_dependants,
    list_unclear,
    read_kinds,
    secret_users,
    try_to_create,
)
from dr.kube.api import KubernetesApi
from tests.support.builders import PLURALS, a_scheduled_backup, cluster_object
from tests.support.doubles import Asked, Impatient, KubernetesDouble, kube_status, serving

CNPG = "/apis/postgresql.cnpg.io/v1/namespaces/data"
CORE = "/api/v1/namespaces/data"
APPS = "/apis/apps/v1/namespaces/data"
KINDS = Kinds(plurals=PLURALS, unclear={"Shadow": "shadows"})
OURS = {"app.kubernetes.io/managed-by": "postgres-dr"}


class _World(KubernetesDouble):
    """Lists what it keeps, deletes what it is told to, and says what an apply would make of a specification."""

    stubborn: str = ""

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        if asked.method == "DELETE":
            there = self.objects.get(asked.path)
            if there is None:
                return 404, kube_status(404, "not found", name="x")
            uid = ((asked.body or {}).get("preconditions") or {}).get("uid")
            if uid and uid != there["metadata"]["uid"]:
                return 409, kube_status(409, "the UID in the precondition does not match", name="x")
            if asked.path != self.stubborn:
                del self.objects[asked.path]
            return 200, {}
        if asked.method == "PATCH":
            assert asked.query["dryRun"] == "All"
            there = self.objects[asked.path]
            return 200, {**there, "spec": {**there["spec"], **asked.body["spec"]}}
        if asked.method == "GET" and asked.path not in self.objects and asked.path.rsplit("/", 1)[1].endswith("s"):
            below = f"{asked.path}/"
            return 200, {"items": [kept for path, kept in self.objects.items() if path.startswith(below)]}
        return super()._answer(asked)


@pytest.fixture
def wire(own_home: object) -> Iterator[_World]:
    with serving(_World()) as world:
        yield world


def old(wire: _World) -> ClusterSnapshot:
    """The old Cluster, with the Secrets that it owns."""
    cluster = wire.keep(f"{CNPG}/clusters/postgres-prod", cluster_object())
    owner = [{"uid": cluster["metadata"]["uid"]}]
    for name in ("postgres-prod-app", "postgres-prod-ca"):
        wire.keep(f"{CORE}/secrets/{name}", {"metadata": {"name": name, "ownerReferences": owner}})
    wire.keep(f"{CORE}/secrets/foreign", {"metadata": {"name": "foreign"}})
    return ClusterSnapshot.from_object(cluster)


def pod(name: str, secret: str, **labels: str) -> dict[str, Any]:
    spec = {"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}}]}]}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def test_a_secret_that_would_go_is_found_in_whatever_uses_it(api: KubernetesApi, wire: _World) -> None:
    cluster = old(wire)
    wire.keep(f"{CORE}/pods/exporter", pod("exporter", "postgres-prod-app"))
    wire.keep(f"{CORE}/pods/else", pod("else", "foreign"))
    theirs = {"cnpg.io/cluster": "postgres-prod"}
    wire.keep(f"{CORE}/pods/postgres-prod-1", pod("postgres-prod-1", "postgres-prod-ca", **theirs))
    template = {"template": pod("x", "postgres-prod-ca")}
    wire.keep(f"{APPS}/deployments/proxy", {"metadata": {"name": "proxy"}, "spec": template})
    pooler = {"cluster": {"name": "other"}, "pgbouncer": {"authQuerySecret": {"name": "postgres-prod-app"}}}
    wire.keep(f"{CNPG}/poolers/pool", {"metadata": {"name": "pool"}, "spec": pooler})
    assert secret_users(api, "data", [cluster], PLURALS) == (
        "Deployment proxy uses postgres-prod-ca",
        "Pod exporter uses postgres-prod-app",
        "Pooler pool uses postgres-prod-app",
    )


def test_where_nothing_goes_nobody_is_asked(api: KubernetesApi, wire: _World) -> None:
    assert secret_users(api, "data", [], PLURALS) == ()
    assert wire.asked == []


def test_what_is_left_without_an_owner_goes_and_nothing_else(api: KubernetesApi, wire: _World) -> None:
    for name, cluster in (("postgres-prod-first", "postgres-prod"), ("mine", "other")):
        wire.keep(f"{CNPG}/backups/{name}", {"metadata": {"name": name}, "spec": {"cluster": {"name": cluster}}})
    wire.keep(f"{CORE}/secrets/postgres-prod-app", {"metadata": {"name": "postgres-prod-app", "labels": OURS}})
    wire.keep(f"{CORE}/secrets/other-app", {"metadata": {"name": "other-app"}})
    delete_leftovers(api, "data", "postgres-prod")
    delete_leftovers(api, "data", "other-without-anything")
    delete_leftovers(api, "data", "other")
    assert sorted(wire.objects) == [f"{CORE}/secrets/other-app"], "a Secret that is not ours stays"


def test_a_cluster_is_deleted_as_the_one_that_was_seen(api: KubernetesApi, wire: _World) -> None:
    cluster = old(wire)
    delete_cluster(api, cluster, limit=60, stop=Impatient())
    assert f"{CNPG}/clusters/postgres-prod" not in wire.objects
    # WHEN another one has its name meanwhile
    again = cluster_object()
    again["metadata"]["uid"] = "another"
    wire.keep(f"{CNPG}/clusters/postgres-prod", again)
    with pytest.raises(AccessError):
        delete_cluster(api, cluster, limit=60, stop=Impatient())
    assert f"{CNPG}/clusters/postgres-prod" in wire.objects


def test_what_does_not_go_is_told(api: KubernetesApi, wire: _World) -> None:
    one = a_scheduled_backup()
    path = f"{CNPG}/scheduledbackups/{one.name}"
    wire.keep(path, {"metadata": {"name": one.name, "uid": one.uid}, "spec": {}})
    wire.stubborn = path
    with pytest.raises(StepFailedError) as failed:
        delete_dependant(api, one, "scheduledbackups", limit=-1, stop=Impatient())
    assert failed.value.code == "dependant-not-gone"
    wire.stubborn = ""
    delete_dependant(api, one, "scheduledbackups", limit=-1, stop=Impatient())
    assert path not in wire.objects


def test_only_the_objects_of_the_wanted_clusters_are_listed(api: KubernetesApi, wire: _World) -> None:
    for name, cluster in (("a", "postgres-prod"), ("b", "other")):
        metadata = {"name": name, "namespace": "data", "uid": name}
        wire.keep(f"{CNPG}/scheduledbackups/{name}", {"metadata": metadata, "spec": {"cluster": {"name": cluster}}})
    (found,) = list_dependants(api, "data", {"postgres-prod"}, KINDS)
    assert (found.kind, found.name, found.manifest["apiVersion"]) == (
        "ScheduledBackup",
        "a",
        "postgresql.cnpg.io/v1",
    )
    create(api, {**found.manifest, "metadata": {"name": "c", "namespace": "data"}}, "scheduledbackups")
    assert f"{CNPG}/scheduledbackups/c" in wire.objects


def test_what_an_apply_would_change_is_told_field_by_field(api: KubernetesApi, wire: _World) -> None:
    wire.keep(
        f"{CNPG}/clusters/new",
        {"metadata": {"name": "new"}, "spec": {"instances": 1, "storage": {"size": "5Gi"}, "bootstrap": {}}},
    )
    wire.keep(f"{CORE}/services/prod-postgres", {"metadata": {"name": "prod-postgres"}, "spec": {"externalName": "a"}})
    cluster = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "new"}}
    same = {**cluster, "spec": {"instances": 1}}
    other = {**cluster, "spec": {"instances": 3, "storage": {"size": "9Gi"}}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prod-postgres"}}
    assert dry_run_differences(api, same, namespace="data") == ((), ())
    assert dry_run_differences(api, other, namespace="data")[0] == (
        "Cluster new: spec.instances is 1 here, 3 in Git",
        "Cluster new: spec.storage.size is '5Gi' here, '9Gi' in Git",
    )
    assert dry_run_differences(api, {**service, "spec": {"externalName": "b"}}, namespace="data")[0] == (
        "Service prod-postgres: spec.externalName is 'a' here, 'b' in Git",
    )


def test_a_cluster_that_is_not_there_is_a_difference(api: KubernetesApi, wire: _World) -> None:
    absent = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "new"}, "spec": {}}
    assert dry_run_differences(api, absent, namespace="data") == (("Cluster new is not there",), ())


def test_an_object_of_another_kind_that_names_the_old_cluster_is_found(api: KubernetesApi, wire: _World) -> None:
    """E15."""
    for name, cluster in (("a", "postgres-prod"), ("b", "other")):
        wire.keep(f"{CNPG}/shadows/{name}", {"metadata": {"name": name}, "spec": {"clusterRef": {"name": cluster}}})
    assert list_unclear(api, "data", {"postgres-prod"}, KINDS) == ("Shadow a",)


def test_the_kinds_are_read_from_the_api_server(api: KubernetesApi, wire: _World) -> None:
    """E15: and a server that cannot say refuses, rather than that there were none."""
    with pytest.raises(AccessError):
        read_kinds(api)
    wire.on("/openapi/v3/apis/postgresql.cnpg.io/v1", {"paths": {}, "components": {"schemas": {}}})
    assert read_kinds(api) == Kinds(plurals={}, unclear={})


def test_trying_to_create_keeps_nothing_and_needs_no_free_name(api: KubernetesApi, wire: _World) -> None:
    """E16: what could not be created would be known only after the old Cluster is gone."""
    wire.on(f"{CNPG}/databases", {}, method="POST")
    manifest = {"kind": "Database", "metadata": {"name": "shop", "namespace": "data"}, "spec": {}}
    try_to_create(api, manifest, "databases")
    (asked,) = wire.received("POST")
    assert asked.query["dryRun"] == "All"
    assert asked.body["metadata"] == {"namespace": "data", "generateName": "shop-"}
