"""What a recovery begins from: the object store or a volume snapshot, and why not."""

from dataclasses import replace
from typing import Any

import pytest

from dr.archive.snapshots import SnapshotBackup
from dr.core.errors import RefusedError, RequestError
from dr.core.target import AUTO, NEVER, NEWEST, LsnTarget, RecoveryTarget, TimeTarget
from dr.core.target_options import TargetOptions
from dr.core.wal_names import name_of
from dr.recovery.run import Recovery
from dr.recovery.situation import RecoveryBase, Situation, base_of, problems_of_snapshot
from tests.support.archives import SEGMENT, archive, at, backup, switch, wal
from tests.support.builders import NOW, a_decision, a_situation, a_snapshot, a_source, an_environment

TARGET = TimeTarget(at(200))


def snap(number: int, name: str | None = None, **changes: Any) -> SnapshotBackup:
    """A snapshot that begins with segment ``number`` and ended as that was archived."""
    place: dict[str, Any] = {
        "begin_wal": name_of(1, number, SEGMENT),
        "begin_lsn": number * SEGMENT + 0x28,
        "end_lsn": number * SEGMENT + 0x138,
    }
    return a_snapshot(name or f"snap-{number}", end=at(10 * number), **{**place, **changes})


def seen(*snapshots: SnapshotBackup, **changes: Any) -> Situation:
    """A base backup that begins with segment 5 and has 64 MiB, and WAL to 30; beside it, ``snapshots``."""
    found = archive(backup(5), files=wal(range(1, 31)))
    situation = a_situation(seen_at=NOW, snapshots=snapshots, archive=found)
    assert situation.catalogue
    catalogue = replace(situation.catalogue, backups=found.backups)
    return replace(situation, catalogue=catalogue, **changes)


def _base(situation: Situation, wanted: str = AUTO, target: RecoveryTarget | None = TARGET) -> RecoveryBase:
    return base_of(target, wanted, situation)


def _problem(situation: Situation, wanted: str, target: RecoveryTarget | None = TARGET) -> tuple[str, str, str]:
    (problem,) = problems_of_snapshot(target, wanted, situation)
    return problem.code, problem.cause, problem.remedy


def test_without_snapshots_it_is_the_object_stores() -> None:
    for known in (None, ()):
        assert str(_base(replace(seen(), snapshots=known))) == "base backup backup-5"


def test_what_leaves_less_to_fetch_is_taken() -> None:
    # GIVEN a stored backup of 64 MiB, which is four segments
    assert str(_base(seen(snap(7)))) == "volume snapshot snap-7"
    assert str(_base(seen(snap(1)))) == "volume snapshot snap-1"
    later = seen(snap(1))
    stored = replace(backup(6), size=64 * 2**20)
    assert later.catalogue
    later = replace(later, catalogue=replace(later.catalogue, backups=(stored,)))
    assert str(_base(later)) == "base backup backup-6"
    # AND where its size is not known, the newer one
    unsized = replace(later, catalogue=replace(later.catalogue, backups=(replace(stored, size=None),)))  # type: ignore[type-var]
    assert str(_base(unsized)) == "base backup backup-6"


def test_it_can_be_forbidden_and_asked_for() -> None:
    situation = seen(snap(1), snap(3), snap(7))
    assert str(_base(situation, NEVER)) == "base backup backup-5"
    assert str(_base(situation, NEWEST)) == "volume snapshot snap-7"
    assert str(_base(situation, "snap-3")) == "volume snapshot snap-3"
    assert str(_base(situation, AUTO, replace(TARGET, backup_id="backup-5"))) == "base backup backup-5"


def test_one_after_the_target_is_no_base_and_the_one_before_it_is() -> None:
    assert str(_base(seen(snap(3), snap(21)))) == "volume snapshot snap-3"
    assert str(_base(seen(snap(21)), NEWEST)) == "base backup backup-5"
    assert str(_base(seen(snap(21)), target=None)) == "volume snapshot snap-21"


@pytest.mark.parametrize(
    ("snapshot", "target", "why"),
    [
        (snap(21), TARGET, "it ended at 2026-04-20 03:30:00 UTC, after the target"),
        (snap(7, fault="it is broken"), TARGET, "it is broken"),
        (snap(7), LsnTarget(7 * SEGMENT), "it ended at LSN 0/7000138, not before the target"),
        (snap(7, end_lsn=None), LsnTarget(9 * SEGMENT), "where it ended in the WAL is not known"),
        (snap(40), None, "WAL segment 000000010000000000000028, which it begins with, is not archived"),
        (snap(7, major=16), TARGET, "it is of PostgreSQL 16, and postgres-prod runs 17"),
        (snap(7), replace(TARGET, timeline=2), "timeline 2 does not come by it"),
    ],
)
def test_why_one_cannot_be_used_is_said(snapshot: SnapshotBackup, target: RecoveryTarget | None, why: str) -> None:
    situation = seen(snapshot, source=replace(a_source(), major=17))
    assert situation.archive
    # Timeline 2 left 1 in segment 6.
    left = replace(situation.archive, histories={2: (switch(1, 6.5),)} if target and target.timeline else {})
    situation = replace(situation, archive=left)
    code, cause, remedy = _problem(situation, snapshot.name, target)
    assert code == "snapshot-not-usable"
    assert f"volume snapshot {snapshot.name} is not usable: {why}" in cause
    assert "leave --snapshot out" in remedy


def test_a_hole_in_the_wal_behind_it_makes_it_useless_and_another_is_offered() -> None:
    files = {name: time for name, time in wal(range(1, 31)).items() if not name.endswith("09")}
    situation = replace(seen(snap(7), snap(12)), archive=archive(backup(5), files=files))
    _, cause, remedy = _problem(situation, "snap-7")
    assert "WAL segment 000000010000000000000009 is missing in the archive" in cause
    assert remedy.startswith("--snapshot snap-12 would do")
    assert str(_base(situation)) == "volume snapshot snap-12"


def test_one_that_is_asked_for_and_not_there_is_refused_with_those_that_are() -> None:
    code, cause, remedy = _problem(seen(snap(3), snap(7)), "snap-4")
    assert (code, remedy) == ("snapshot-missing", "give one of: snap-7, snap-3")
    assert "no volume snapshot backup snap-4 of postgres-prod" in cause
    assert _problem(seen(), NEWEST)[0] == "snapshot-missing"
    assert _problem(replace(seen(), snapshots=None), NEWEST)[0] == "snapshots-not-supported"
    assert list(problems_of_snapshot(TARGET, AUTO, replace(seen(), snapshots=None))) == []


def test_a_newer_one_that_is_passed_over_is_said_in_the_plan() -> None:
    broken = a_snapshot(fault="VolumeSnapshot nightly is not ready to use")
    files = archive(files=wal([3, 4]))
    decision = a_decision(a_situation(snapshots=(broken,), archive=files))
    warning = "volume snapshot nightly is not used: VolumeSnapshot nightly is not ready to use."
    assert warning in decision.warnings
    assert "volumeSnapshots" not in decision.cluster.manifest["spec"]["bootstrap"]["recovery"]


def test_the_plan_and_the_declaration_are_of_the_snapshot() -> None:
    situation = a_situation(snapshots=(a_snapshot(),), archive=archive(files=wal([3, 4])))
    decision = a_decision(situation)
    assert decision.facts["Base backup"].startswith("volume snapshot nightly, ended 2026-04-27 07:00:00 UTC")
    detail = next(step.detail() for step in Recovery(decision).plan.steps if step.key == "recover")
    assert "from volume snapshot nightly and WAL up to the target" in detail
    recovery = decision.cluster.manifest["spec"]["bootstrap"]["recovery"]
    assert recovery["volumeSnapshots"]["storage"]["name"] == "nightly"
    assert "backupID" not in recovery["recoveryTarget"]


def test_without_any_base_backup_in_the_object_store_a_snapshot_is_enough() -> None:
    situation = a_situation(snapshots=(a_snapshot(),), archive=archive(files=wal([3, 4])))
    assert situation.catalogue
    bare = replace(situation, catalogue=replace(situation.catalogue, backups=()))
    assert a_decision(bare).base.backup_id == "nightly"
    with pytest.raises(RefusedError) as refused:
        a_decision(bare, snapshot=NEVER)
    assert [problem.code for problem in refused.value.problems] == ["no-backup"]
    with pytest.raises(RefusedError) as refused:
        a_decision(bare, snapshot="weekly")
    assert [problem.code for problem in refused.value.problems] == ["snapshot-missing", "no-backup"]


def test_a_named_snapshot_stands_for_the_base_backup_that_some_targets_want() -> None:
    asked = TargetOptions(target_immediate=True)
    assert str(asked.target(now=NOW, snapshot="nightly")) == "the end of the base backup"
    for snapshot in (AUTO, NEVER, NEWEST):
        with pytest.raises(RequestError) as refused:
            asked.target(now=NOW, snapshot=snapshot)
        assert refused.value.code == "target-needs-backup-id"
    with pytest.raises(RequestError) as refused:
        TargetOptions(target_lsn="0/1", backup_id="b").target(now=NOW, snapshot="nightly")
    assert refused.value.code == "targets-exclude-each-other"


def test_the_command_that_goes_on_names_it() -> None:
    situation = a_situation(snapshots=(a_snapshot(),), archive=archive(files=wal([3, 4])))
    decision = a_decision(situation, snapshot="nightly")
    assert "--snapshot nightly" in decision.request.command(an_environment(), go_on=True)
