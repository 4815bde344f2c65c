"""Each precondition of a point-in-time recovery: found when it does not hold, and only then."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr.archive.contents import Catalogue
from dr.cnpg.cluster import Archiving
from dr.core.errors import Problem, RefusedError
from dr.core.target import TimeTarget
from dr.kube.objects import CopiedSecret
from dr.recovery.preconditions import preconditions
from dr.recovery.situation import RecoveryRequest, Situation
from tests.support.builders import (
    NOW,
    TARGET_TIME,
    a_backup,
    a_decision,
    a_plugin_source,
    a_recovered,
    a_request,
    a_situation,
    a_source,
    a_workload,
    an_environment,
    as_seen,
    by_plugin,
)

RECOVERED = as_seen(a_recovered())
FAILING = replace(a_source(), archiving=Archiving(working=False, message="403 from the bucket"))


def _catalogue(*ends: timedelta) -> Catalogue:
    backups = tuple(a_backup(NOW - end) for end in ends)
    return Catalogue(server_name="postgres-prod", backups=backups, server_names=frozenset())


def _problems(situation: Situation, request: RecoveryRequest | None = None) -> list[Problem]:
    return list(preconditions(an_environment(), request or a_request(), situation))


def test_a_situation_in_order_has_no_problem() -> None:
    assert _problems(a_situation()) == []
    assert _problems(a_situation(source=a_plugin_source())) == []


@pytest.mark.parametrize("written", ["gs://acme-pg-backups", "gs://acme-pg-backups/"])
def test_an_archive_in_the_bucket_itself_is_the_configured_one(written: str) -> None:
    """C5."""
    environment = an_environment(backup={"bucket": "acme-pg-backups"})
    source = a_source(backup={"barmanObjectStore": {"destinationPath": written, "serverName": "main"}})
    assert source.server_name == "main"
    assert list(preconditions(environment, a_request(), a_situation(source=source))) == []


IDLE = {"name": "barman-cloud.cloudnative-pg.io", "parameters": {"barmanObjectName": "prod-store"}}

FAULTS: list[tuple[str, Mapping[str, Any], Mapping[str, Any], str]] = [
    ("service-missing", {"external_name": None}, {}, "data/prod-postgres"),
    ("workload-missing", {"workloads": {"api": a_workload("api"), "worker": None}}, {}, "prod/worker"),
    ("source-missing", {"source": None, "other_clusters": ("other",)}, {}, "data/postgres-prod"),
    ("no-object-store", {"source": a_source(backup=None)}, {}, "no backup section"),
    (
        "no-object-store",
        {"source": a_source(backup=None, plugins=[{"name": "other.test", "isWALArchiver": True}])},
        {},
        "the plugin other.test",
    ),
    # C17.
    ("no-object-store", {"source": a_source(backup=None, plugins=[IDLE])}, {}, "isWALArchiver is not set"),
    (
        "no-object-store",
        {"source": a_source(backup=None, plugins=[{**IDLE, "isWALArchiver": True, "enabled": False}])},
        {},
        "enabled is false",
    ),
    ("object-store-missing", {"source": a_source(**by_plugin())}, {}, "ObjectStore data/prod-store"),
    ("plugin-unavailable", {"source": a_plugin_source(), "plugin_fault": "it is not installed"}, {}, "not installed"),
    (
        "backup-place-differs",
        {"source": a_source(**by_plugin()).with_object_store({"destinationPath": "gs://another/dev"})},
        {},
        "gs://another/dev",
    ),
    (
        "backup-place-differs",
        {"source": a_source(backup={"barmanObjectStore": {"destinationPath": "gs://another/dev"}})},
        {},
        "gs://another/dev",
    ),
    ("archiving-failing", {"source": FAILING}, {}, "403 from the bucket"),
    ("secret-missing", {"app_secret_exists": False}, {}, "data/shop-owner"),
    ("secret-differs", {"password_copy": CopiedSecret.FOREIGN}, {}, "data/postgres-prod-recovered-app"),
    ("secret-missing", {"missing_secrets": ("role",)}, {}, "Secret data/role"),
    (
        "major-version-differs",
        {
            "source": replace(a_source(), major=18),
            "catalogue": Catalogue(server_name="x", backups=(replace(a_backup(), major=17),), server_names=frozenset()),
        },
        {},
        "is of PostgreSQL 17, and postgres-prod runs 18",
    ),
    ("storage-class-missing", {"missing_storage_classes": ("fast",)}, {}, "StorageClass fast"),
    ("volume-refused", {"volume_refusal": "exceeded quota: small"}, {}, "exceeded quota: small"),
    ("no-backup", {"catalogue": _catalogue()}, {}, "gs://backups-of-acme/prod"),
    (
        "no-backup",
        {"catalogue": replace(_catalogue(), server_names=frozenset({"postgres-prod", "postgres-old"}))},
        {},
        "there is something of postgres-old",
    ),
    ("target-before-first-backup", {"catalogue": _catalogue(timedelta(hours=1))}, {}, "2026-04-27 11:00:00 UTC"),
    (
        "target-after-database-clock",
        {"database_time": TARGET_TIME - timedelta(seconds=1)},
        {},
        "2026-04-27 09:54:59 UTC",
    ),
    ("name-is-the-source", {"recovered": a_source()}, {"recovered_name": "postgres-prod"}, "postgres-prod"),
    ("recovered-exists", {"recovered": replace(RECOVERED, annotations={})}, {}, "did not make it"),
    ("recovered-exists", {"recovered": RECOVERED}, {}, "this very target"),
    (
        "recovered-exists",
        {"recovered": RECOVERED},
        {"target": TimeTarget(NOW - timedelta(hours=1)), "go_on": True},
        "another target",
    ),
    ("recovered-exists", {"recovered": replace(RECOVERED, annotations={})}, {"go_on": True}, "did not make it"),
]


@pytest.mark.parametrize(("code", "fault", "request_", "told"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
def test_exactly_the_one_fault_is_found(
    code: str, fault: Mapping[str, Any], request_: Mapping[str, Any], told: str
) -> None:
    (problem,) = _problems(a_situation(**fault), a_request(**request_))
    assert problem.code == code
    assert told in problem.cause
    assert problem.remedy


def test_a_missing_source_is_told_with_the_clusters_that_are_there() -> None:
    (problem,) = _problems(a_situation(source=None, other_clusters=("alpha", "beta")))
    assert "alpha, beta" in problem.remedy


def test_a_target_too_early_is_told_with_the_first_that_can_be_reached() -> None:
    (problem,) = _problems(a_situation(catalogue=_catalogue(timedelta(hours=1))))
    assert "2026-04-27T11:00:00+00:00" in problem.remedy


def test_failing_archiving_is_no_obstacle_where_the_wal_is_not_sealed() -> None:
    assert _problems(a_situation(source=FAILING), a_request(seal=False)) == []


def test_archiving_that_was_not_reported_yet_is_no_obstacle() -> None:
    unknown = replace(a_source(), archiving=Archiving(working=None))
    assert _problems(a_situation(source=unknown)) == []


def test_a_dead_primary_is_no_obstacle() -> None:
    assert _problems(a_situation(database_time=None)) == []


def test_going_on_with_the_same_recovery_is_no_obstacle() -> None:
    assert _problems(a_situation(recovered=RECOVERED), a_request(go_on=True)) == []


def test_an_old_copy_of_the_password_is_in_the_way_of_a_cluster_that_uses_it_and_of_no_other() -> None:
    """E19."""
    old = a_situation(password_copy=CopiedSecret.OLD)
    assert _problems(old) == []
    (problem,) = _problems(replace(old, recovered=RECOVERED), a_request(go_on=True))
    assert problem.code == "secret-differs"
    assert _problems(replace(old, recovered=RECOVERED, recovered_gave_up=True), a_request(go_on=True)) == []


def test_an_existing_recovery_to_this_target_offers_to_go_on_and_a_free_name() -> None:
    taken = ("postgres-prod", "postgres-prod-recovered", "postgres-prod-recovered-2")
    (problem,) = _problems(a_situation(recovered=RECOVERED, other_clusters=taken))
    assert "--continue" in problem.remedy
    assert "--recovered-name postgres-prod-recovered-3" in problem.remedy


def test_going_on_is_not_offered_for_another_target() -> None:
    other = a_request(target=TimeTarget(NOW - timedelta(hours=1)))
    (problem,) = _problems(a_situation(recovered=RECOVERED), other)
    assert "--continue" not in problem.remedy


def test_all_faults_are_reported_together() -> None:
    situation = a_situation(external_name=None, app_secret_exists=False, catalogue=_catalogue())
    with pytest.raises(RefusedError) as refused:
        a_decision(situation)
    assert [problem.code for problem in refused.value.problems] == ["service-missing", "secret-missing", "no-backup"]
    assert refused.value.exit_code == 4


def test_what_is_to_follow_is_part_of_the_command_that_goes_on() -> None:
    request = a_request(switchover=True)
    assert request.command(an_environment(), go_on=True).endswith("--switchover --continue")
    assert "Then" in a_decision(switchover=True).facts
    assert "Then" not in a_decision().facts
