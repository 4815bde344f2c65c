"""Health of the bucket, and of the way in."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr.archive.bucket import BucketFacts, DeleteRule
from dr.archive.gcs import delete_rules
from dr.cnpg.cluster import Archiving
from dr.health.check import State, Unavailable
from dr.health.snapshot import ArchiveSeen, Identity
from tests.support.builders import STORE_CONFIGURATION, a_plugin_source, a_source
from tests.support.health_fixtures import SEEN_AT, UNSEEN, a_serving, checks


@pytest.mark.parametrize(
    ("code", "state"),
    [
        ("bucket-unreachable", State.CRITICAL),
        ("bucket-missing", State.CRITICAL),
        ("bucket-forbidden", State.UNKNOWN),
        ("no-answer", State.UNKNOWN),
    ],
)
def test_a_bucket_that_is_not_there_is_critical_and_one_that_is_closed_unknown(code: str, state: State) -> None:
    found = checks(archive=Unavailable(code=code, why="why", remedy="what helps"))["bucket"]
    assert (found.state, found.message, found.remedy) == (state, "why", "what helps")


def test_an_empty_bucket_is_critical() -> None:
    empty = ArchiveSeen(server_name="postgres-prod", archive=None, server_names=frozenset())
    assert checks(archive=empty)["bucket"].state is State.CRITICAL


def test_a_cluster_that_archives_elsewhere_is_critical() -> None:
    elsewhere = a_plugin_source().with_object_store({**STORE_CONFIGURATION, "destinationPath": "gs://other/prod"})
    found = checks(serving=a_serving(elsewhere))["bucket"]
    assert (found.state, "gs://other/prod" in found.message) == (State.CRITICAL, True)


@pytest.mark.parametrize(
    ("rules", "policy", "state"),
    [
        ([DeleteRule(age_days=30)], "30d", State.OK),
        ([DeleteRule(age_days=30)], "", State.OK),
        ([], "4w", State.CRITICAL),
        ([], "5w", State.OK),
        ([], "1m", State.OK),
        ([DeleteRule(age_days=7)], "30d", State.CRITICAL),
        ([DeleteRule(age_days=30)], "3d", State.CRITICAL),
        ([DeleteRule(age_days=7, prefixes=("dev/",))], "30d", State.OK),
        ([DeleteRule(age_days=7, prefixes=("prod/postgres-prod/wals",))], "30d", State.CRITICAL),
        ([DeleteRule(age_days=7, prefixes=("p",)), DeleteRule(age_days=90)], "30d", State.CRITICAL),
    ],
)
def test_nothing_may_be_deleted_before_its_time(rules: list[DeleteRule], policy: str, state: State) -> None:
    bucket = BucketFacts(location="EU", deletes=tuple(rules))
    assert checks(bucket=bucket, serving=a_serving(retention_policy=policy))["retention"].state is state


def test_a_retention_policy_under_which_no_base_backup_ends_is_told() -> None:
    """C16."""
    bucket = BucketFacts(location="EU", deletes=(), held_seconds=2592000)
    found = checks(bucket=bucket, serving=a_serving(retention_policy="30d"))["retention"]
    assert (found.state, "stays STARTED" in found.message) == (State.WARNING, True)
    assert "30 d" in found.message


def test_how_long_is_long_enough_is_the_environments() -> None:
    week = {"health": {"retentionDays": 7}}
    bucket = BucketFacts(location="EU", deletes=(DeleteRule(age_days=7),))
    found = checks(week, bucket=bucket, serving=a_serving(retention_policy="7d"))["retention"]
    assert (found.state, found.values) == (State.OK, {"bucket_lifecycle_age_seconds": 7 * 86400})


def test_rules_are_read_as_cloud_storage_gives_them() -> None:
    rules = [
        {"action": {"type": "Delete"}, "condition": {"age": 30}},
        {"action": {"type": "Delete"}, "condition": {"age": 9, "matchesPrefix": ["dev/"]}},
        # What follows deletes nothing that is current.
        {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 3}},
        {"action": {"type": "Delete"}, "condition": {"age": 1, "isLive": False}},
        {"action": {"type": "Delete"}, "condition": {"age": 1, "numNewerVersions": 2}},
        {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 1}},
    ]
    assert list(delete_rules(rules)) == [DeleteRule(age_days=30), DeleteRule(age_days=9, prefixes=("dev/",))]


@pytest.mark.parametrize(
    ("condition", "state", "told"),
    [
        ({"age": 7, "matchesStorageClass": ["STANDARD"]}, State.CRITICAL, "after 7 days, where matchesStorageClass"),
        ({"age": 3, "matchesSuffix": [".gz"]}, State.CRITICAL, "after 3 days, where matchesSuffix"),
        ({"age": 3, "aNewCondition": True}, State.CRITICAL, "aNewCondition"),
        ({"daysSinceCustomTime": 3}, State.WARNING, "daysSinceCustomTime 3"),
        ({"createdBefore": "2030-01-01"}, State.WARNING, "createdBefore 2030-01-01"),
        ({"age": 90, "matchesSuffix": [".gz"]}, State.OK, ""),
        ({"age": 3, "matchesSuffix": [".gz"], "matchesPrefix": ["dev/"]}, State.OK, ""),
    ],
    ids=str,
)
def test_a_rule_with_a_further_condition_is_told_with_it(condition: dict[str, object], state: State, told: str) -> None:
    """E12."""
    rules = tuple(delete_rules([{"action": {"type": "Delete"}, "condition": condition}]))
    found = checks(bucket=BucketFacts(location="EU", deletes=rules))["retention"]
    assert found.state is state
    assert told in found.message


def test_a_retention_policy_that_is_not_understood_is_not_ok() -> None:
    """E12."""
    assert checks(serving=a_serving(retention_policy="P30D"))["retention"].state is State.WARNING


def test_a_place_that_was_promised_is_held() -> None:
    assert checks({"health": {"bucketLocation": "europe-west1"}})["bucket-location"].state is State.OK
    found = checks({"health": {"bucketLocation": "EU"}})["bucket-location"]
    assert (found.state, found.message) == (State.CRITICAL, "the bucket is in EUROPE-WEST1, and must be in EU")


@pytest.mark.parametrize(("days", "state"), [(10, State.OK), (4, State.WARNING), (1, State.CRITICAL)])
def test_a_certificate_that_ends_is_told(days: float, state: State) -> None:
    ends = {"late": SEEN_AT + timedelta(days=90), "server": SEEN_AT + timedelta(days=days, minutes=1)}
    found = checks(serving=a_serving(certificates=ends))["credentials"]
    assert (found.state, found.message.startswith("server ends")) == (state, True)


def test_ones_own_credentials_count_too() -> None:
    found = checks(own_ends={"the token of context x": SEEN_AT - timedelta(days=3)})["credentials"]
    assert (found.state, "3 days ago" in found.message, "log in again" in found.remedy) == (State.CRITICAL, True, True)
    assert checks(serving=a_serving(certificates={}))["credentials"].state is State.OK


def test_an_identity_that_is_gone_is_critical() -> None:
    gone = Identity(account="postgres-prod", found=False, google="")
    assert checks(identity=gone)["identity"].state is State.CRITICAL


def test_a_missing_annotation_counts_where_archiving_fails() -> None:
    """Without it the pods may be let in by Workload Identity Federation as themselves."""
    plain = Identity(account="postgres-prod", found=True, google="")
    assert checks(identity=plain)["identity"].state is State.OK
    failing = a_serving(replace(a_source(), archiving=Archiving(working=False)))
    assert checks(identity=plain, serving=failing)["identity"].state is State.CRITICAL


def test_a_key_in_a_secret_needs_no_identity() -> None:
    keyed = {"destinationPath": "gs://backups-of-acme/prod", "googleCredentials": {"applicationCredentials": {}}}
    source = a_source(backup={"barmanObjectStore": keyed})
    assert checks(serving=a_serving(source), identity=UNSEEN)["identity"].state is State.OK


@pytest.mark.parametrize(
    ("credentials", "told"),
    [
        ({"s3Credentials": {"inheritFromIAMRole": True}}, "by a role that the pods have"),
        ({"azureCredentials": {"inheritFromAzureAD": True}}, "by a role that the pods have"),
        ({"s3Credentials": {"accessKeyId": {"name": "x", "key": "y"}}}, "by a key in a Secret"),
        ({}, "by no identity that is known here"),
    ],
)
def test_another_store_is_reached_without_googles_identities(credentials: dict[str, Any], told: str) -> None:
    source = a_source(backup={"barmanObjectStore": {"destinationPath": "s3://acme/prod", **credentials}})
    found = checks(serving=a_serving(source), identity=UNSEEN)["identity"]
    assert (found.state, told in found.message) == (State.OK, True)


def test_what_was_not_seen_is_unknown() -> None:
    blind = checks(bucket=UNSEEN, identity=UNSEEN)
    for name in ("retention", "bucket-location", "identity"):
        assert blind[name].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["credentials"].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["identity"].state is State.UNKNOWN
