"""Ending an incident, decided: when it is refused, and what is planned."""

from dataclasses import replace
from typing import Any

import pytest

from dr.cnpg.cluster import Archiving
from dr.core.errors import RefusedError
from dr.finalize.dependants import Dependant
from dr.finalize.plan import FinalizeDecision, decide_finalization, former_names
from dr.finalize.preconditions import FinalizeRequest, GitSeen
from dr.finalize.run import Finalize
from dr.gitops.argocd import Manager
from tests.support.builders import (
    SOURCE_HOST,
    a_finalize_situation,
    a_record,
    a_recovered,
    a_rewriting,
    a_scheduled_backup,
    a_source,
    an_entry,
    an_environment,
    as_seen,
)

GIT = {"manifests": "k8s/postgres"}
CHECKOUT = FinalizeRequest(checkout="/src/platform")
MERGED = GitSeen(root="/src/platform", revision="c0ffee" * 7, branch="b", rewriting=a_rewriting())
UNWRITTEN = replace(MERGED, rewriting=a_rewriting("cluster.yaml"))
ARGO = Manager(
    kind="Application",
    namespace="argocd",
    name="postgres",
    policy={},
    owner=None,
    manages=frozenset(),
    syncing=False,
    refreshing=False,
    out_of_sync=(),
)


def decided(request: FinalizeRequest = CHECKOUT, **changes: Any) -> FinalizeDecision:
    return decide_finalization(an_environment(git=GIT), request, replace(a_finalize_situation(), **changes))


def refused(**changes: Any) -> list[str]:
    with pytest.raises(RefusedError) as refusal:
        decided(**{"git": MERGED, **changes})
    return [problem.code for problem in refusal.value.problems]


def keys(decision: FinalizeDecision) -> list[str]:
    return [step.key for step in Finalize(decision).plan.steps]


def test_nothing_goes_before_what_replaces_it_is_proven() -> None:
    decision = decided(git=MERGED)
    assert keys(decision) == ["prove", "carry-over", "delete-old", "hand-over", "close"]
    assert [cluster.name for cluster in decision.deleted] == ["postgres-prod"]
    assert decision.to_type == "postgres-prod"


def test_a_missing_base_backup_is_taken_first() -> None:
    assert keys(decided(git=MERGED, own_backup=""))[:2] == ["back-up", "prove"]


def test_under_argo_cd_git_comes_first_and_nothing_else() -> None:
    decision = decided(git=UNWRITTEN, argocd=(ARGO,))
    assert decision.proposal
    assert keys(decision) == ["propose"]
    assert "postgres-prod" in decision.facts["Deleted later"]


def test_once_it_is_merged_argo_cd_gets_everything_back() -> None:
    assert keys(decided(git=MERGED, argocd=(ARGO,)))[-2:] == ["release-argocd", "close"]


def test_without_argo_cd_git_is_written_on_the_way() -> None:
    assert keys(decided(git=UNWRITTEN))[:2] == ["prove", "propose"]


def test_without_git_it_goes_by_itself_with_a_word_on_it() -> None:
    decision = decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation())
    assert any("by hand" in warning for warning in decision.warnings)
    assert [one["metadata"]["name"] for one in decision.wanted] == ["postgres-prod-recovered"]


def test_every_generation_goes_but_the_one_that_serves() -> None:
    # GIVEN a third generation that serves
    third = as_seen(a_recovered("postgres-prod-recovered-3"))
    serving = replace(third, archiving=Archiving(working=True))
    record = a_record(a_recovered(), a_recovered("postgres-prod-recovered-2"), a_recovered(third.name))
    # THEN
    assert former_names(an_environment(), record, third.name) == (
        "postgres-prod",
        "postgres-prod-recovered",
        "postgres-prod-recovered-2",
    )
    former = (a_source(), as_seen(a_recovered()))
    decision = decided(
        git=MERGED, serving=serving, former=former, record=record.with_verified(third.name, 1), external_name="x"
    )
    assert [cluster.name for cluster in decision.deleted] == ["postgres-prod", "postgres-prod-recovered"]


def test_after_an_earlier_finalize_the_configured_source_is_nobodys() -> None:
    record = a_record(a_recovered("postgres-prod-recovered-2")).model_copy(
        update={"canonical": "postgres-prod-recovered"}
    )
    assert former_names(an_environment(), record, "postgres-prod-recovered-2") == ("postgres-prod-recovered",)


def test_before_the_switchover_it_is_refused() -> None:
    assert refused(serving=a_source(), external_name=SOURCE_HOST) == ["not-switched-over"]
    assert refused(serving=None, external_name="elsewhere.test") == ["not-switched-over"]


def test_a_recovered_cluster_that_is_not_well_is_refused_with_every_reason() -> None:
    serving = replace(as_seen(a_recovered()), ready=False, archiving=Archiving(working=False, message="403"))
    assert refused(serving=serving, record=a_record(a_recovered())) == [
        "recovered-not-healthy",
        "recovered-not-verified",
        "recovered-not-archiving",
    ]


def test_an_old_cluster_that_can_be_written_to_is_not_deleted() -> None:
    assert refused(writable={"postgres-prod": "can take writes"}) == ["old-still-writes"]


def test_what_a_switchover_holds_is_let_go_first() -> None:
    """E17: the record is closed at the end, and nobody would know any more that these are suspended."""
    assert refused(still_held=("CronJob prod/nightly",)) == ["still-held"]


def test_what_git_does_not_declare_is_named() -> None:
    """C1."""
    pooler = Dependant.from_object(
        "Pooler",
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "metadata": {"name": "pool", "namespace": "data", "uid": "p"},
            "spec": {"cluster": {"name": "postgres-prod"}, "instances": 2},
        },
    )
    decision = decided(git=MERGED, dependants=(a_scheduled_backup(), pooler))
    assert "pool" in [one["metadata"]["name"] for one in decision.wanted]
    assert any("Pooler pool" in warning and "moved" in warning for warning in decision.warnings)


def test_secrets_in_use_are_not_deleted() -> None:
    assert refused(secret_users=("Pod api-1 uses postgres-prod-app",)) == ["old-secrets-in-use"]


def test_another_operation_has_to_end_first() -> None:
    record = a_finalize_situation().record.with_operation(an_entry("switchover"))
    assert refused(record=record) == ["operation-unfinished"]


def test_where_git_declares_the_cluster_a_checkout_is_asked_for() -> None:
    assert refused(git=None, request=FinalizeRequest()) == ["checkout-needed"]
    assert refused(git=None, request=FinalizeRequest(), argocd=(ARGO,)) == ["checkout-needed"]


def test_a_wrong_or_dirty_checkout_is_not_written_to() -> None:
    wrong = replace(MERGED, stranger="git@example.test:acme/platform")
    of_another = ("Cluster data/elsewhere",)
    assert refused(git=wrong, argocd=(ARGO,), out_of_sync=of_another) == ["checkout-of-another-repository"]
    assert refused(git=replace(MERGED, dirty=("cluster.yaml",))) == ["checkout-dirty"]


def test_argo_cd_is_not_let_go_where_it_would_change_the_cluster() -> None:
    different = replace(MERGED, differences=("Cluster postgres-prod-recovered: spec.instances is 1 here, 3 in Git",))
    assert refused(git=different) == ["git-disagrees"]
    assert refused(argocd=(ARGO,), out_of_sync=("Deployment prod/api",)) == ["git-disagrees"]


def test_differences_that_this_settles_are_no_reason_to_refuse() -> None:
    documents = ({"kind": "Cluster", "metadata": {"name": "postgres-prod-recovered"}, "spec": {}},)
    merged = replace(MERGED, rewriting=a_rewriting(documents=documents))
    out_of_sync = (
        "Application argocd/postgres",
        "Cluster data/postgres-prod",
        "Cluster data/postgres-prod-recovered",
        "ScheduledBackup data/postgres-prod",
    )
    assert not decided(git=merged, argocd=(ARGO,), out_of_sync=out_of_sync).proposal


def test_one_that_stopped_after_the_deletion_goes_on() -> None:
    decision = decided(git=MERGED, former=(), dependants=())
    assert keys(decision) == ["prove", "hand-over", "close"]
    assert decision.to_type == "postgres-prod", "what must be typed is the same as the first time"


def test_what_was_deleted_to_be_made_anew_is_not_forgotten() -> None:
    # GIVEN a finalize without Git that was stopped between the deletion of a ScheduledBackup and its successor
    first = decide_finalization(an_environment(), FinalizeRequest(), a_finalize_situation())
    record = a_finalize_situation().record.carrying(first.wanted)
    # WHEN
    again = decide_finalization(
        an_environment(), FinalizeRequest(), replace(a_finalize_situation(), record=record, dependants=())
    )
    # THEN
    assert again.wanted == first.wanted
    assert "carry-over" in keys(again)


def test_when_it_is_done_there_is_nothing_to_repeat() -> None:
    record = a_finalize_situation().record.closed("postgres-prod-recovered")
    assert refused(record=record, former=(), dependants=()) == ["not-switched-over"]


def test_the_commit_says_what_happened_and_the_command_is_the_one_that_was_given() -> None:
    decision = decided(git=UNWRITTEN, argocd=(ARGO,))
    assert decision.message.startswith("postgres-prod-recovered is the database of prod\n\n")
    assert "- cluster.yaml: Cluster postgres-prod becomes postgres-prod-recovered" in decision.message
    asked = FinalizeRequest(checkout="/src/my platform", branch="x", push=True)
    assert asked.command(an_environment()) == (
        "python -m dr finalize --env prod --checkout '/src/my platform' --branch x --push"
    )


def _database(*, awaited: bool) -> Dependant:
    found = Dependant.from_object(
        "Database",
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "metadata": {"name": "reporting", "namespace": "data", "uid": "d", "finalizers": ["cnpg.io/x"] * awaited},
            "spec": {"cluster": {"name": "postgres-prod"}, "name": "reporting", "owner": "keeper"},
        },
    )
    assert found.awaited is awaited
    return found


def test_what_only_the_end_of_its_cluster_releases_comes_after_it() -> None:
    """E16: a hibernated or fenced Cluster has no primary that would take the finalizers away."""
    decision = decided(git=MERGED, dependants=(a_scheduled_backup(), _database(awaited=True)))
    assert keys(decision) == ["prove", "carry-over", "delete-old", "carry-over-late", "hand-over", "close"]
    details = {step.key: step.detail() for step in Finalize(decision).plan.steps}
    assert "Database" not in details["carry-over"]
    assert "make Database reporting for postgres-prod-recovered in place of" in details["carry-over-late"]
    assert [one["kind"] for one in decision.wanted_late] == ["Database"]


def test_what_nobody_has_to_release_is_carried_over_before_the_deletion() -> None:
    """E16."""
    decision = decided(git=MERGED, dependants=(_database(awaited=False),))
    assert keys(decision) == ["prove", "carry-over", "delete-old", "hand-over", "close"]


def test_what_is_not_understood_is_refused_by_name() -> None:
    """E15."""
    assert refused(unclear=("Shadow a",)) == ["dependant-not-understood"]


def test_a_kind_of_gits_that_the_cluster_lacks_is_refused() -> None:
    """E15: it was found out when everything that it replaces was deleted."""
    document = {"kind": "NewKind", "metadata": {"name": "x"}, "spec": {"cluster": {"name": "postgres-prod-recovered"}}}
    git = replace(MERGED, rewriting=a_rewriting(documents=(document,)))
    assert refused(git=git) == ["dependant-kind-missing"]


SERVICES = {"services": {"additional": [{"selectorType": "rw"}]}}


def test_what_the_recovery_left_out_is_put_back_when_the_old_cluster_is_gone() -> None:
    """C2: the old Cluster, which only a finalize deletes, holds the names of managed Services."""
    source = a_source(description="the shop's", managed={"roles": [], **SERVICES})
    decision = decided(git=None, former=(source,))
    assert keys(decision)[1:4] == ["carry-over", "delete-old", "put-back"]
    assert decision.put_back == {"description": "the shop's", "managed.services": SERVICES["services"]}
    assert decision.facts["Put back"] == "description, managed.services, which the recovery left out"


def test_it_is_put_back_as_git_has_it_and_by_argo_cd_where_that_applies_git() -> None:
    """C2."""
    declared = {"kind": "Cluster", "metadata": {"name": "x"}, "spec": {"managed": SERVICES}}
    git = replace(MERGED, rewriting=a_rewriting(documents=(declared,)), later=("managed.services differs",))
    former = (a_source(description="by hand"),)
    assert decided(git=git, former=former).put_back == {"managed.services": SERVICES["services"]}
    managed = decided(git=git, former=former, argocd=(ARGO,))
    assert not managed.put_back
    assert any("managed.services differs" in warning for warning in managed.warnings)


def test_a_later_run_finds_it_in_the_record() -> None:
    """C2: the first was interrupted when the old Cluster was gone."""
    first = decided(git=None, former=(a_source(managed=SERVICES),), dependants=())
    assert "carry-over" in keys(first)
    record = a_finalize_situation().record.carrying(first.carried)
    later = decided(git=None, former=(), dependants=(), record=record)
    assert later.put_back == first.put_back != {}
    assert [one["kind"] for one in later.wanted] == []
