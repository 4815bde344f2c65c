"""A drill, decided: honest, harmless, and behind whoever has a real reason."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dr.archive.window import windows
from dr.cnpg.fetch_ahead import Fetching
from dr.core.errors import RefusedError
from dr.core.history import Outcome
from dr.core.target import LsnTarget, TimeTarget
from dr.drill.plan import DrillDecision, DrillRequest, DrillSituation, decide_drill, random_target
from dr.drill.run import Drill
from tests.support.archives import archive, backup, wal
from tests.support.builders import (
    NOW,
    TARGET,
    a_plugin_source,
    a_record,
    a_situation,
    a_source,
    an_entry,
    an_environment,
)
from tests.support.drills import NAME, a_drill_request, a_drill_situation


def decide(request: DrillRequest | None = None, situation: DrillSituation | None = None) -> DrillDecision:
    return decide_drill(an_environment(), request or a_drill_request(), situation or a_drill_situation())


def refused(request: DrillRequest | None = None, situation: DrillSituation | None = None) -> list[str]:
    with pytest.raises(RefusedError) as error:
        decide(request, situation)
    return [problem.code for problem in error.value.problems]


def with_recovery(**changes: Any) -> DrillSituation:
    return a_drill_situation(recovery=a_situation(workloads={}, **changes))


def test_the_scratch_cluster_archives_nothing_and_is_labelled_for_the_next_drill() -> None:
    manifest = decide().scratch
    assert manifest["metadata"]["name"] == NAME
    assert manifest["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "postgres-dr",
        "postgres-dr/scratch": "drill",
        "postgres-dr/environment": "prod",
    }
    assert manifest["spec"]["instances"] == 1
    assert not {"backup", "plugins", "managed"} & set(manifest["spec"])
    assert manifest["spec"]["bootstrap"]["recovery"]["recoveryTarget"] == {"backupID": decide().base.backup_id}


def test_a_source_of_the_plugin_is_drilled_by_the_plugin_and_archives_nothing_either() -> None:
    spec = decide(situation=with_recovery(source=a_plugin_source())).scratch["spec"]
    assert spec["externalClusters"][0]["plugin"]["parameters"]["serverName"] == "postgres-prod"
    assert "plugins" not in spec


def test_a_moment_is_sent_with_the_base_backup_that_was_shown() -> None:
    target = decide(a_drill_request(target=TARGET)).scratch["spec"]["bootstrap"]["recovery"]["recoveryTarget"]
    assert target == {"backupID": "20260427T030000", "targetTime": TARGET.value}


def test_nothing_is_asked_of_the_source_and_no_writer_is_stopped() -> None:
    assert [step.key for step in Drill(decide()).plan.steps] == ["recover", "verify", "examine", "remove-scratch"]


def test_what_earlier_drills_have_left_goes_first() -> None:
    first = Drill(decide(situation=a_drill_situation(orphans=(NAME,)))).plan.steps[0]
    assert (first.key, NAME in first.detail()) == ("orphans", True)


def test_while_an_operation_is_under_way_there_is_no_drill() -> None:
    assert refused(situation=a_drill_situation(at_work="bob@ops-2:8")) == ["incident-under-way"]


@pytest.mark.parametrize("outcome", [Outcome.RUNNING, Outcome.FAILED, Outcome.INTERRUPTED])
def test_what_somebody_has_yet_to_go_on_with_is_under_way(outcome: Outcome) -> None:
    record = a_record().with_operation(an_entry("pitr", outcome=outcome))
    assert refused(situation=with_recovery(record=record)) == ["incident-under-way"]


def test_after_an_operation_that_is_done_there_may_be_a_drill() -> None:
    record = a_record().with_operation(an_entry("pitr", outcome=Outcome.DONE))
    assert decide(situation=with_recovery(record=record)).scratch_name == NAME


def test_a_source_that_is_gone_and_a_service_that_is_missing_are_no_obstacle() -> None:
    gone = with_recovery(database_time=None, external_name=None, app_secret_exists=False, stand_in_origin="its copy")
    plan = Drill(decide(situation=gone)).plan
    assert "its copy" in plan.facts["Source"]
    assert any("cannot be compared" in warning for warning in plan.warnings)


def test_what_would_stop_a_recovery_stops_a_drill() -> None:
    assert refused(situation=with_recovery(source=None)) == ["source-missing"]
    assert refused(a_drill_request(target=TimeTarget(NOW - timedelta(days=30)))) == ["target-before-first-backup"]
    failing = a_source(backup=None)
    assert refused(situation=with_recovery(source=failing)) != []


def test_a_target_behind_the_archive_is_refused_as_nothing_is_sealed() -> None:
    # GIVEN an archive that ends before the target, and a source that would archive more if asked
    held = archive(backup(3), files=wal(range(3, 40)))
    (window,) = windows(held)
    assert window.end.archived is not None
    late = TimeTarget(window.end.archived + timedelta(seconds=1))
    recovery = with_recovery(archive=held, catalogue=_catalogue(held), seen_at=late.time, database_time=None)
    # THEN
    with pytest.raises(RefusedError) as error:
        decide(a_drill_request(target=late), recovery)
    (problem,) = error.value.problems
    assert problem.code == "target-after-archive"
    assert "a drill has only what is archived" in problem.cause


def _catalogue(archive: Any) -> Any:
    good = a_situation().catalogue
    assert good is not None
    return replace(good, backups=archive.backups)


def test_a_lot_falls_within_what_can_surely_be_reached() -> None:
    held = archive(backup(3), files=wal(range(3, 40)))
    (window,) = windows(held)
    first, last = (random_target(held, draw) for draw in (lambda _: 0, lambda n: n - 1))
    assert first is not None
    assert last is not None
    assert first.lsn == window.backups[0].end_lsn + 1
    assert last.lsn is not None
    assert last.lsn < window.end.lsn - held.segment_size + 1


def test_an_archive_of_one_place_leaves_no_lot() -> None:
    assert random_target(None, lambda _: 0) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "--latest"),
        ({"target": TARGET}, "--target-time 2026-04-27T09:55:00+00:00"),
        ({"target": LsnTarget(7), "random": True}, "--random"),
        ({"source_given": True, "quick": True}, "--latest --source postgres-prod --quick"),
    ],
)
def test_the_command_asks_for_the_same_again(changes: dict[str, Any], words: str) -> None:
    assert a_drill_request(**changes).command(an_environment()) == f"python -m dr drill --env prod {words}"


@pytest.mark.parametrize(("segments", "at_a_time"), [(24, 16), (23, 1)])
def test_wal_is_fetched_as_a_recovery_would(segments: int, at_a_time: int) -> None:
    """E1: a drill to the end waits for a store that fails, too."""
    held = archive(backup(3), files=wal(range(3, 3 + segments)))
    recovery = with_recovery(archive=held, catalogue=_catalogue(held), seen_at=NOW)
    assert decide(situation=recovery).fetching == Fetching(at_a_time)


def test_the_plugin_fetches_wal_by_itself() -> None:
    held = archive(backup(3), files=wal(range(3, 100)))
    by_plugin = with_recovery(archive=held, catalogue=_catalogue(held), source=a_plugin_source())
    decision = decide(situation=by_plugin)
    assert decision.fetching is None
    assert any("taken for the end of the WAL" in warning for warning in decision.warnings)
