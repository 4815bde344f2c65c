"""The guard: each rule is broken once and kept once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dr.config.environment import MEANINGS, Override, Rule
from dr.engine.changes import Change, Changes, Op
from dr.guard.rules import BUCKET, CLUSTER, Reach, Seen, SeenCluster, Violation, not_overridden, violations

SERVICE = "kubernetes:core/v1:ServicePatch"
ACCOUNT = "gcp:serviceaccount/account:Account"
STORE = "gs://acme-backups/prod"

OLD = SeenCluster(name="postgres-prod", healthy=True, proven=True, store=STORE, server_name="postgres-prod")
NEW = SeenCluster(name="postgres-prod-recovered", healthy=True, proven=True, store=STORE, server_name="recovered")
REACH = Reach(start=datetime(2026, 4, 1, tzinfo=UTC), until=datetime(2026, 4, 27, 10, tzinfo=UTC))
SEEN = Seen(namespace="data", serving=OLD.name, clusters=(OLD, NEW), reach={"postgres-prod": (REACH,)})
UNOBSERVED = Seen(namespace="data", unobserved="the API server does not answer")


def change(op: Op, kind: str, name: str = "it", **more: Any) -> Change:
    return Change(op=op, type=kind, urn=f"urn:pulumi:prod::postgres-dr::{kind}::{name}", **more)


def a_cluster(
    op: Op,
    name: str = "postgres-prod-recovered",
    *,
    server_name: str = "recovered",
    target: str = "2026-04-27T09:55:00+00:00",
    store: str = STORE,
) -> Change:
    document = {
        "metadata": {"name": name, "namespace": "data"},
        "spec": {
            "backup": {"barmanObjectStore": {"destinationPath": store, "serverName": server_name}},
            "bootstrap": {"recovery": {"source": "postgres-prod", "recoveryTarget": {"targetTime": target}}},
            "externalClusters": [{"name": "postgres-prod", "barmanObjectStore": {"serverName": "postgres-prod"}}],
        },
    }
    before = None if op is Op.CREATE else document
    after = document if op not in {Op.DELETE, Op.FORGET} else None
    return change(op, CLUSTER, name, before=before, after=after)


def traffic(op: Op, to: str, before: str = "postgres-prod-rw.data.svc.cluster.local") -> Change:
    def pointing(host: str) -> dict[str, Any]:
        return {"metadata": {"name": "prod-postgres", "namespace": "data"}, "spec": {"externalName": host}}

    old = None if op is Op.CREATE else pointing(before)
    return change(op, SERVICE, "traffic", before=old, after=None if op is Op.DELETE else pointing(to))


def to_cluster(name: str) -> str:
    return f"{name}-rw.data.svc.cluster.local"


def found(*changes: Change, seen: Seen = SEEN) -> list[Rule]:
    return [violation.rule for violation in violations(Changes(stack="prod", items=changes), seen)]


def of(bucket: dict[str, Any]) -> dict[str, Any]:
    return {"name": "acme-backups", **bucket}


DELETES_AFTER = {"lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 30}}]}
SOONER = {"lifecycleRules": [{"action": {"type": "Delete"}, "condition": {"age": 7}}]}


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        (Rule.BACKUP_BUCKET, change(Op.DELETE, BUCKET, before=of({}))),
        (Rule.BACKUP_BUCKET, change(Op.REPLACE, BUCKET, before=of({}), after=of({"location": "US"}))),
        (Rule.BACKUP_BUCKET, change(Op.UPDATE, BUCKET, before=of({}), after=of({"forceDestroy": True}))),
        (Rule.BACKUP_RETENTION, change(Op.UPDATE, BUCKET, before=of(DELETES_AFTER), after=of(SOONER))),
        (Rule.BACKUP_RETENTION, change(Op.IMPORT, BUCKET, before=of(DELETES_AFTER), after=of(SOONER))),
        (Rule.BACKUP_ACCESS, change(Op.DELETE, ACCOUNT, before={"accountId": "backup"})),
        (Rule.BACKUP_ACCESS, change(Op.REPLACE, ACCOUNT, before={"accountId": "backup"}, after={"accountId": "b"})),
        (Rule.BACKUP_ACCESS, change(Op.UPDATE, ACCOUNT, before={}, after={"disabled": True})),
        (Rule.BACKUP_ACCESS, change(Op.DELETE, "gcp:storage/bucketIAMMember:BucketIAMMember", before={"member": "x"})),
        (Rule.BACKUP_ACCESS, change(Op.DELETE, "gcp:serviceaccount/iAMMember:IAMMember", before={"member": "x"})),
        (Rule.CLUSTER_SERVING, a_cluster(Op.DELETE, "postgres-prod", server_name="postgres-prod")),
        (Rule.CLUSTER_SERVING, a_cluster(Op.REPLACE, "postgres-prod", server_name="postgres-prod")),
        (Rule.CLUSTER_SERVING, traffic(Op.DELETE, "")),
        (Rule.CLUSTER_PLATFORM, change(Op.DELETE, "gcp:container/cluster:Cluster", before={"name": "platform"})),
        (Rule.CLUSTER_PLATFORM, change(Op.REPLACE, "gcp:container/cluster:Cluster", before={}, after={})),
        (
            Rule.CLUSTER_PLATFORM,
            change(Op.DELETE, "kubernetes:core/v1:Namespace", before={"metadata": {"name": "data"}}),
        ),
        (Rule.TRAFFIC_UNPROVEN, traffic(Op.UPDATE, "db.example.org")),
        (Rule.TRAFFIC_UNPROVEN, traffic(Op.UPDATE, to_cluster("postgres-prod-other"))),
        (Rule.TRAFFIC_UNPROVEN, traffic(Op.CREATE, to_cluster("postgres-prod-other"))),
        (Rule.TWO_WRITERS, a_cluster(Op.CREATE, "third", server_name="postgres-prod")),
        (Rule.TWO_WRITERS, a_cluster(Op.UPDATE, server_name="postgres-prod")),
        (Rule.TARGET_OUTSIDE, a_cluster(Op.CREATE, target="2026-03-01T00:00:00+00:00")),
        (Rule.TARGET_OUTSIDE, a_cluster(Op.CREATE, target="2026-04-28T00:00:00+00:00")),
        (Rule.TARGET_OUTSIDE, a_cluster(Op.CREATE, target="2026-04-27 09:55:00")),
    ],
    ids=str,
)
def test_what_breaks_a_rule_is_found_by_it(rule: Rule, broken: Change) -> None:
    assert found(broken) == [rule]


@pytest.mark.parametrize(
    "harmless",
    [
        change(Op.KEEP, BUCKET, before=of(DELETES_AFTER), after=of(DELETES_AFTER)),
        change(Op.FORGET, BUCKET, before=of({})),
        change(Op.CREATE, BUCKET, after=of(SOONER)),
        change(Op.UPDATE, BUCKET, before=of(SOONER), after=of(DELETES_AFTER)),
        change(Op.UPDATE, ACCOUNT, before={"displayName": "a"}, after={"displayName": "b"}),
        change(Op.CREATE, "gcp:container/cluster:Cluster", after={}),
        a_cluster(Op.CREATE),
        a_cluster(Op.KEEP),
        a_cluster(Op.FORGET, "postgres-prod", server_name="postgres-prod"),
        a_cluster(Op.DELETE),
        traffic(Op.UPDATE, to_cluster("postgres-prod-recovered")),
        traffic(Op.CREATE, to_cluster("postgres-prod")),
        traffic(Op.KEEP, to_cluster("postgres-prod-gone"), to_cluster("postgres-prod-gone")),
    ],
    ids=str,
)
def test_what_breaks_none_is_let_pass(harmless: Change) -> None:
    assert found(harmless) == []


def test_a_cluster_that_is_not_healthy_gets_no_traffic() -> None:
    seen = replace(SEEN, clusters=(OLD, replace(NEW, healthy=False)))
    assert found(traffic(Op.UPDATE, to_cluster(NEW.name)), seen=seen) == [Rule.TRAFFIC_UNPROVEN]


def test_a_cluster_that_was_not_verified_gets_no_traffic() -> None:
    seen = replace(SEEN, clusters=(OLD, replace(NEW, proven=False)))
    assert found(traffic(Op.UPDATE, to_cluster(NEW.name)), seen=seen) == [Rule.TRAFFIC_UNPROVEN]


def test_the_last_one_that_holds_data_stays_even_if_it_serves_nobody() -> None:
    seen = replace(SEEN, serving="", clusters=(replace(OLD, healthy=False), NEW))
    assert found(a_cluster(Op.DELETE), seen=seen) == [Rule.CLUSTER_LAST]


def test_the_cluster_of_another_environment_is_no_other_copy() -> None:
    other = replace(NEW, name="postgres-dev", ours=False)
    seen = replace(SEEN, serving="", clusters=(OLD, other))
    assert found(a_cluster(Op.DELETE, "postgres-prod", server_name="postgres-prod"), seen=seen) == [Rule.CLUSTER_LAST]


def test_two_that_go_at_once_leave_none() -> None:
    both = (a_cluster(Op.DELETE), a_cluster(Op.DELETE, "postgres-prod", server_name="postgres-prod"))
    assert found(*both) == [Rule.CLUSTER_SERVING, Rule.CLUSTER_LAST, Rule.CLUSTER_LAST]


def test_two_new_ones_with_one_server_name_are_two_writers() -> None:
    seen = replace(SEEN, clusters=(OLD,))
    assert found(a_cluster(Op.CREATE, "one"), a_cluster(Op.CREATE, "two"), seen=seen) == [Rule.TWO_WRITERS]


def test_one_name_in_two_stores_is_no_conflict() -> None:
    assert found(a_cluster(Op.CREATE, "one", store="gs://other/prod")) == []


def test_a_plugin_whose_store_is_not_known_counts_by_its_server_name() -> None:
    entry = {"name": "barman-cloud", "isWALArchiver": True, "parameters": {"serverName": "postgres-prod"}}
    document = {"metadata": {"name": "by-plugin"}, "spec": {"plugins": [entry]}}
    assert found(change(Op.CREATE, CLUSTER, "by-plugin", after=document)) == [Rule.TWO_WRITERS]


def test_what_is_not_known_counts_against_a_change() -> None:
    assert found(traffic(Op.UPDATE, to_cluster(NEW.name)), seen=UNOBSERVED) == [Rule.TRAFFIC_UNPROVEN]
    assert found(a_cluster(Op.DELETE), seen=UNOBSERVED) == [Rule.CLUSTER_SERVING, Rule.CLUSTER_LAST]
    assert found(a_cluster(Op.CREATE), seen=UNOBSERVED) == [Rule.TARGET_OUTSIDE]
    assert found(change(Op.DELETE, "gcp:container/cluster:Cluster"), seen=UNOBSERVED) == [Rule.CLUSTER_PLATFORM]


def test_a_danger_says_what_would_happen_and_what_to_do() -> None:
    (violation,) = violations(Changes(stack="prod", items=(change(Op.DELETE, BUCKET, before=of({})),)), SEEN)
    assert "acme-backups would be deleted" in violation.cause
    assert violation.remedy
    assert violation.as_json()["rule"] == "backup-bucket"


NOW = datetime(2026, 4, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "resource", "until", "passes"),
    [
        (Rule.BACKUP_BUCKET, "it", NOW + timedelta(hours=1), True),
        (Rule.BACKUP_BUCKET, "it", NOW, False),
        (Rule.BACKUP_BUCKET, "another", NOW + timedelta(hours=1), False),
        (Rule.TWO_WRITERS, "it", NOW + timedelta(hours=1), False),
    ],
)
def test_an_override_is_for_one_rule_one_resource_and_a_time(
    rule: Rule, resource: str, until: datetime, passes: bool
) -> None:
    violation = Violation(rule=Rule.BACKUP_BUCKET, resource="it", cause="c", remedy="r")
    override = Override(rule=rule, resource=resource, reason="the bucket is empty", until=until)
    assert (not_overridden([violation], [override], now=NOW) == ()) is passes


def test_every_rule_has_its_meaning_in_words() -> None:
    assert set(MEANINGS) == set(Rule)
