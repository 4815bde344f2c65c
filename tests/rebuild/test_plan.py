"""A full rebuild, decided."""

from datetime import timedelta

import pytest

from dr.archive.usable_archives import usable_archives
from dr.core.errors import Problem, RefusedError
from dr.rebuild.plan import RebuildRequest, decide_rebuild
from dr.rebuild.run import Rebuild
from tests.support.archives import archive, backup, wal
from tests.support.builders import NOW, an_entry, an_environment
from tests.support.rebuilds import a_rebuild, a_rebuild_situation, a_survivor

KEYS = ["survivors", "durable", "platform", "kubeconfig", "argocd", "operator", "database", "recover", "switchover"]


def test_the_steps_lead_from_the_bucket_to_an_answer() -> None:
    assert [step.key for step in Rebuild(a_rebuild()).plan.steps] == [*KEYS, "smoke-test"]
    assert all(step.done_when for step in Rebuild(a_rebuild()).plan.steps)


def test_without_a_url_there_is_no_smoke_test() -> None:
    found = decide_rebuild(an_environment(smokeTestUrl=None), RebuildRequest(), a_rebuild_situation())
    assert [step.key for step in Rebuild(found).plan.steps] == KEYS


def test_every_step_has_an_expected_time() -> None:
    assert all(seconds > 0 for seconds in Rebuild(a_rebuild()).estimate.seconds.values())


def test_the_newest_archive_is_what_is_recovered_from() -> None:
    found = a_rebuild(usable_archives=(a_survivor("postgres-prod-recovered"), a_survivor()))
    assert found.source.server_name == "postgres-prod-recovered"
    assert any("were written to less lately: postgres-prod" in line for line in found.warnings)


def test_without_backups_it_stops_and_says_what_is_lost() -> None:
    with pytest.raises(RefusedError) as refused:
        a_rebuild(usable_archives=(), loss="no archive has a base backup")
    assert refused.value.code == "nothing-to-restore"
    assert refused.value.cause == "no archive has a base backup"


def test_all_problems_are_told_at_once_the_loss_first() -> None:
    problem = Problem(code="guard-refused", cause="the bucket would be deleted", remedy="put it back")
    with pytest.raises(RefusedError) as refused:
        a_rebuild(usable_archives=(), loss="nothing", problems=(problem,))
    assert [one.code for one in refused.value.problems] == ["nothing-to-restore", "guard-refused"]


def test_what_was_not_archived_is_called_lost_before_anybody_agrees() -> None:
    assert any("everything after 000000010000000000000009" in line for line in a_rebuild().warnings)


def test_wal_that_cannot_be_replayed_is_told_before_anybody_agrees() -> None:
    """E1."""
    cut = archive(backup(3), files=wal(range(3, 10)), damaged={"000000010000000000000008": "it is cut"})
    warnings = a_rebuild(usable_archives=usable_archives((cut,))).warnings
    assert any(
        "000000010000000000000008 cannot be replayed: it is cut: the recovery will end" in one for one in warnings
    )
    assert any("everything after 000000010000000000000007" in one for one in warnings)


def test_a_cluster_that_answers_is_told_as_it_is_kept() -> None:
    assert any("answers" in line for line in a_rebuild(cluster_answers=True).warnings)
    assert not any("answers" in line for line in a_rebuild().warnings)


def test_the_expected_time_is_by_experience_and_then_by_what_it_took() -> None:
    assert Rebuild(a_rebuild()).plan.facts["Expected"].endswith("by experience: this was never done here")
    entry = an_entry().step_started("platform", NOW).step_done("creates 9", NOW + timedelta(seconds=200))
    found = a_rebuild(history=(entry,))
    assert Rebuild(found).estimate.seconds["platform"] == 200
    assert "1 of 10 steps as they took before" in Rebuild(found).plan.facts["Expected"]


def test_the_command_asks_for_the_same_again() -> None:
    request = RebuildRequest(region="europe-west1", zone="europe-west1-b", durable="durable-eu")
    told = request.command(an_environment())
    assert (
        told == "python -m dr full-rebuild --env prod --region europe-west1 --zone europe-west1-b --durable durable-eu"
    )
    assert RebuildRequest().command(an_environment()) == "python -m dr full-rebuild --env prod"
