"""From a request and a situation to a plan."""

import shlex
from dataclasses import replace
from datetime import timedelta

import pytest

from dr.archive.contents import Catalogue
from dr.core.errors import RefusedError
from dr.core.target import RecoveryTarget, TimeTarget
from dr.kube.objects import CopiedSecret
from dr.postgres.clients import Client
from dr.postgres.outside import Outside
from dr.recovery.plan import RecoveryDecision
from dr.recovery.run import Recovery
from dr.recovery.situation import Situation
from tests.support.builders import (
    NOW,
    TARGET,
    a_backup,
    a_decision,
    a_record,
    a_recovered,
    a_request,
    a_situation,
    a_source,
    a_workload,
    an_environment,
    as_seen,
)

ALL = ["remember", "stop-writers", "seal-wal", "credentials", "recover", "verify", "settle"]


def _keys(decision: RecoveryDecision) -> list[str]:
    return [step.key for step in Recovery(decision).plan.steps]


def _catalogue(*server_names: str) -> Catalogue:
    return Catalogue(server_name="postgres-prod", backups=(a_backup(),), server_names=frozenset(server_names))


def _undo(decision: RecoveryDecision, key: str) -> tuple[str, ...]:
    return next(step.undo() for step in Recovery(decision).plan.steps if step.key == key)


def test_the_steps_come_in_the_order_that_loses_nothing() -> None:
    assert _keys(a_decision()) == ALL


@pytest.mark.parametrize(
    ("situation", "seal"), [(a_situation(database_time=None), True), (a_situation(), False)], ids=["dead", "skipped"]
)
def test_the_wal_is_not_sealed_where_it_cannot_or_shall_not_be(situation: Situation, seal: bool) -> None:
    decision = a_decision(situation, seal=seal)
    assert _keys(decision) == [key for key in ALL if key != "seal-wal"]
    assert "seal-wal" not in _keys(decision)
    assert any("sealed" in warning for warning in decision.warnings)


def test_a_primary_that_only_did_not_answer_in_time_is_sealed_all_the_same() -> None:
    """E6: a question took more than 10 s in an incident, and up to archive_timeout of commits was given up."""
    decision = a_decision(a_situation(database_time=None, primary_down=False), target=None)
    assert "seal-wal" in _keys(decision)
    (warning,) = decision.warnings
    assert "did not answer" in warning


def test_nothing_is_warned_of_where_everything_is_in_order() -> None:
    assert a_decision().warnings == ()


def test_a_plan_warns_of_the_ca_that_the_recovered_cluster_gets() -> None:
    """E20."""
    (warning,) = a_decision(a_situation(source=a_source(serviceAccountName="postgres"))).warnings
    assert "postgres-prod-recovered-ca" in warning


@pytest.mark.parametrize("copy", [CopiedSecret.MISSING, CopiedSecret.OLD, CopiedSecret.SAME])
def test_with_the_ca_of_its_source_clients_need_nothing(copy: CopiedSecret) -> None:
    """E20."""
    decision = a_decision(a_situation(source=a_source(serviceAccountName="postgres"), authority_copy=copy))
    assert decision.warnings == ()
    assert decision.keeps_authority
    (credentials,) = (step for step in Recovery(decision).plan.steps if step.key == "credentials")
    assert "postgres-prod-ca, to postgres-prod-recovered-ca" in credentials.detail()
    assert "postgres-prod-recovered-app postgres-prod-recovered-ca" in credentials.undo()[0]


@pytest.mark.parametrize("copy", [CopiedSecret.FOREIGN, None])
def test_with_another_ca_they_are_warned(copy: CopiedSecret | None) -> None:
    """E20."""
    decision = a_decision(a_situation(source=a_source(serviceAccountName="postgres"), authority_copy=copy))
    (warning,) = decision.warnings
    assert "postgres-prod-recovered-ca" in warning
    assert not decision.keeps_authority


def test_a_cluster_that_is_there_keeps_the_ca_that_it_has() -> None:
    """E20: CloudNativePG has made it, and its certificates, with another one."""
    source = a_source(serviceAccountName="postgres")
    situation = a_situation(source=source, recovered=as_seen(a_recovered()), authority_copy=CopiedSecret.OLD)
    assert not a_decision(situation, go_on=True).keeps_authority


def test_a_deployment_of_argo_cd_is_warned_of_by_name() -> None:
    workloads = {"api": replace(a_workload("api"), argo_managed=True), "worker": a_workload("worker")}
    (warning,) = a_decision(a_situation(workloads=workloads)).warnings
    assert "Argo CD" in warning
    assert "api" in warning
    assert "worker" not in warning


def test_what_flux_manages_is_warned_of() -> None:
    """E29: Flux puts back the replicas and the Service."""
    labels = {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    workloads = {"api": replace(a_workload("api"), labels=labels), "worker": a_workload("worker")}
    (warning,) = a_decision(a_situation(workloads=workloads, service_labels=labels)).warnings
    assert "Flux manages Deployment api, Service prod-postgres and" in warning
    assert "flux --context acme-prod -n flux-system suspend kustomization shop" in warning


def test_a_new_recovery_archives_to_a_folder_of_its_name() -> None:
    assert a_decision().cluster.server_name == "postgres-prod-recovered"


def test_a_folder_that_was_used_is_not_used_again() -> None:
    situation = a_situation(catalogue=_catalogue("postgres-prod", "postgres-prod-recovered"))
    assert a_decision(situation).cluster.server_name == "postgres-prod-recovered-2"


def test_going_on_keeps_the_recorded_declaration() -> None:
    # GIVEN a recovery that was declared, created, and has begun to archive
    declared = a_recovered(server_name="postgres-prod-recovered-5")
    situation = a_situation(
        recovered=as_seen(declared),
        record=a_record(declared),
        catalogue=_catalogue("postgres-prod", "postgres-prod-recovered-5"),
    )
    # WHEN
    decision = a_decision(situation, go_on=True)
    # THEN Pulumi sees the same object, to the letter
    assert decision.cluster == declared
    assert any("Continuing" in warning for warning in decision.warnings)


def test_going_on_without_a_record_keeps_the_server_name_that_the_cluster_has() -> None:
    existing = as_seen(a_recovered(server_name="postgres-prod-recovered-5"))
    situation = a_situation(recovered=existing, catalogue=_catalogue("postgres-prod-recovered-5"))
    assert a_decision(situation, go_on=True).cluster.server_name == "postgres-prod-recovered-5"


def test_a_recorded_recovery_whose_cluster_is_gone_is_declared_anew() -> None:
    old = a_recovered()
    situation = a_situation(record=a_record(old), catalogue=_catalogue("postgres-prod", old.server_name))
    assert a_decision(situation).cluster.server_name == "postgres-prod-recovered-2"


def test_the_limit_is_the_environments() -> None:
    assert a_decision().cluster.limit == an_environment().timeouts.recovery


def test_the_base_backup_is_the_one_that_cloudnativepg_will_take() -> None:
    old, new = a_backup(NOW - timedelta(days=1), "old"), a_backup(NOW - timedelta(hours=1), "new")
    catalogue = Catalogue(server_name="postgres-prod", backups=(old, new), server_names=frozenset())
    assert a_decision(a_situation(catalogue=catalogue)).base == old


def test_the_plan_shows_what_the_operator_has_to_recognise() -> None:
    facts = a_decision().facts
    assert "context acme-prod" in facts["Environment"]
    assert "2026-04-27 09:55:00 UTC" in facts["Target"]
    assert "2 h 5 min ago" in facts["Target"]
    assert "data/postgres-prod" in facts["Source"]
    assert "20260427T030000" in facts["Base backup"]
    assert "data/postgres-prod-recovered" in facts["Recovered"]
    assert "20 min" in facts["Limit"]


def test_undoing_starts_the_writers_with_the_counts_seen() -> None:
    workloads = {"api": a_workload("api", 3), "worker": a_workload("worker", 1)}
    assert _undo(a_decision(a_situation(workloads=workloads)), "stop-writers") == (
        "kubectl --context acme-prod -n prod scale deployment/api --replicas=3",
        "kubectl --context acme-prod -n prod scale deployment/worker --replicas=1",
    )


def test_undoing_uses_the_remembered_counts_where_an_earlier_run_stopped_the_writers() -> None:
    workloads = {"api": a_workload("api", 0), "worker": a_workload("worker", 0)}
    record = a_record(replicas={"api": 5, "worker": 7})
    undo = _undo(a_decision(a_situation(workloads=workloads, record=record)), "stop-writers")
    assert [command.rsplit("=", 1)[1] for command in undo] == ["5", "7"]


def test_undoing_uses_the_configured_count_where_none_is_remembered() -> None:
    workloads = {"api": a_workload("api", 0)}
    (undo,) = _undo(a_decision(a_situation(workloads=workloads)), "stop-writers")
    assert undo.endswith("--replicas=2")


def test_every_undo_names_the_environments_context() -> None:
    undo = [command for step in Recovery(a_decision()).plan.steps for command in step.undo()]
    assert undo
    assert all(shlex.split(command)[:3] == ["kubectl", "--context", "acme-prod"] for command in undo)


def test_the_command_to_go_on_asks_for_the_same() -> None:
    request = a_request(recovered_name="another", seal=False)
    assert shlex.split(request.command(an_environment(), go_on=True))[3:] == [
        "pitr",
        "--env",
        "prod",
        "--target-time",
        TARGET.value,
        "--recovered-name",
        "another",
        "--skip-seal",
        "--continue",
    ]


def test_going_on_with_a_recovery_that_gave_up_clears_it_away_first() -> None:
    situation = a_situation(recovered=as_seen(a_recovered(), healthy=False), recovered_gave_up=True)
    keys = _keys(a_decision(situation, go_on=True))
    assert keys == [*ALL[: ALL.index("recover")], "clear", *ALL[ALL.index("recover") :]]


def test_going_on_with_a_recovery_that_still_tries_clears_nothing_away() -> None:
    situation = a_situation(recovered=as_seen(a_recovered(), healthy=False))
    assert "clear" not in _keys(a_decision(situation, go_on=True))


def test_the_command_leaves_out_what_is_the_default() -> None:
    command = a_request().command(an_environment(), go_on=False)
    assert command == f"python -m dr pitr --env prod --target-time {TARGET.value}"


def test_the_end_of_the_wal_is_declared_by_the_base_backup_of_the_plan_alone() -> None:
    """E2: CloudNativePG by itself takes the newest backup with two times, a failed one too."""
    decision = a_decision(target=None)
    recovery = decision.cluster.manifest["spec"]["bootstrap"]["recovery"]
    assert recovery["recoveryTarget"] == {"backupID": decision.base.backup_id}
    assert decision.base.backup_id in decision.facts["Base backup"]
    assert decision.cluster.target == "latest"
    assert Recovery(decision).plan.operation == "latest"
    assert "end of the WAL" in decision.facts["Target"]
    assert decision.request.command(an_environment(), go_on=True) == "python -m dr latest --env prod --continue"


def test_latest_without_sealing_says_what_would_be_lost() -> None:
    (warning,) = a_decision(target=None, seal=False).warnings
    assert "will be missing" in warning


def test_going_on_tells_a_recovery_to_the_end_from_one_to_a_time() -> None:
    situation = a_situation(recovered=as_seen(a_recovered()), record=a_record(a_recovered()))
    with pytest.raises(RefusedError, match="with another target"):
        a_decision(situation, target=None, go_on=True)


def test_the_command_reads_back_as_the_same_target() -> None:
    parts = shlex.split(a_request().command(an_environment(), go_on=True))
    assert TimeTarget.parse(parts[parts.index("--target-time") + 1], now=NOW) == TARGET


def test_the_plan_as_json_is_the_plan() -> None:
    plan = Recovery(a_decision()).plan
    assert [step["key"] for step in plan.as_json()["steps"]] == ALL
    assert plan.as_json()["facts"] == plan.facts


@pytest.mark.parametrize(("target", "since"), [(None, "the WAL is sealed"), (TARGET, "the target")])
def test_who_else_is_connected_to_the_source_is_named(target: RecoveryTarget | None, since: str) -> None:
    """E7: a client that no Deployment in the configuration has is stopped by no step."""
    client = Client(
        database="shop", role="keeper", application="psql", address="10.1.2.3", kind="client backend", count=1
    )
    (told,) = (one for one in a_decision(a_situation(clients=(client,)), target=target).warnings if "Also" in one)
    assert "keeper from 10.1.2.3 (psql)" in told
    assert f"after {since}" in told


def test_that_nobody_could_be_asked_is_no_word_that_nobody_is_there() -> None:
    """E7."""
    assert any("could not be asked" in one for one in a_decision(a_situation(clients=None)).warnings)
    assert not any("connected" in one for one in a_decision().warnings)


def _parameters(decision: RecoveryDecision) -> dict[str, str]:
    return dict(decision.cluster.manifest["spec"].get("postgresql", {}).get("parameters") or {})


def test_subscriptions_of_the_source_are_kept_quiet_and_named() -> None:
    """E11: a copy takes from the publisher's slot what the live database needs."""
    decision = a_decision(a_situation(outside=Outside(subscriptions=("feed",))))
    assert _parameters(decision)["max_logical_replication_workers"] == "0"
    assert "feed" in decision.facts["Kept quiet"]
    assert any("feed" in warning and "publishers" in warning for warning in decision.warnings)


def test_where_the_source_could_not_be_asked_there_may_be_subscriptions() -> None:
    """E11."""
    decision = a_decision(a_situation(outside=None))
    assert _parameters(decision)["max_logical_replication_workers"] == "0"
    assert "could not be asked" in decision.facts["Kept quiet"]


def test_without_any_nothing_is_changed() -> None:
    assert "max_logical_replication_workers" not in _parameters(a_decision())
    assert "Kept quiet" not in a_decision().facts


def test_slots_and_prepared_transactions_are_told_before_the_confirmation() -> None:
    """E11."""
    warnings = a_decision(a_situation(outside=Outside(slots=("cdc",), prepared=("tx-7",)))).warnings
    assert any("cdc" in warning and "no base backup" in warning for warning in warnings)
    assert any("tx-7" in warning and "locks" in warning for warning in warnings)
