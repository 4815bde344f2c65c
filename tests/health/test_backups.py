"""Health of the base backups."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dr.health.check import State
from dr.health.snapshot import BackupObjects
from tests.support.archives import archive, wal
from tests.support.health_fixtures import ARCHIVED, SEEN_AT, UNSEEN, a_run, a_schedule, a_serving, checks, seen, stored

NEWEST = ARCHIVED.backups[-1]


@pytest.mark.parametrize(("hours", "state"), [(25, State.OK), (30, State.WARNING), (60, State.CRITICAL)])
def test_a_base_backup_gets_old(hours: float, state: State) -> None:
    assert checks(seen_at=NEWEST.end + timedelta(hours=hours))["base-backup"].state is state


def test_the_bounds_are_the_environments() -> None:
    weekly = {"health": {"baseBackupAgeHours": {"warning": 170, "critical": 200}}}
    assert checks(weekly, seen_at=NEWEST.end + timedelta(hours=60))["base-backup"].state is State.OK


def test_without_a_base_backup_nothing_can_be_recovered() -> None:
    for found in (None, archive(files=wal(range(3)))):
        assert checks(archive=seen(found))["base-backup"].state is State.CRITICAL


def test_a_description_without_its_data_is_no_backup() -> None:
    assert checks(objects=stored(0))["backup-objects"].state is State.CRITICAL
    older = checks(objects=stored(0, 2**30))["backup-objects"]
    assert (older.state, ARCHIVED.backups[-2].backup_id in older.message) == (State.WARNING, True)


@pytest.mark.parametrize(
    ("size", "state"), [(1.5, State.OK), (0.6, State.OK), (2.5, State.WARNING), (0.1, State.WARNING)]
)
def test_a_size_that_jumps_is_told(size: float, state: State) -> None:
    assert checks(objects=stored(int(size * 2**30)))["backup-size"].state is state


def test_a_few_sizes_are_no_trend() -> None:
    young = archive(*ARCHIVED.backups[-2:], files=ARCHIVED.files)
    assert checks(archive=seen(young), objects=stored(1))["backup-size"].state is State.OK


def test_a_failed_run_counts_until_a_later_one_succeeds() -> None:
    failed = a_run(NEWEST, "failed", error="exit status 4", created=NEWEST.end + timedelta(hours=1), backup_id="")
    found = checks(backups=BackupObjects(runs=(a_run(NEWEST), failed), schedules=(a_schedule(),)))["backup-runs"]
    assert (found.state, "exit status 4" in found.message) == (State.CRITICAL, True)
    after = BackupObjects(runs=(failed, a_run(NEWEST)), schedules=(a_schedule(),))
    mended = checks(backups=after)["backup-runs"]
    assert (mended.state, "1 earlier failed" in mended.message) == (State.OK, True)


def test_a_run_that_does_not_end_is_told() -> None:
    stuck = a_run(NEWEST, "running", created=SEEN_AT - timedelta(hours=7))
    assert checks(backups=BackupObjects(runs=(stuck,), schedules=()))["backup-runs"].state is State.WARNING
    fresh = a_run(NEWEST, "running", created=SEEN_AT - timedelta(hours=1))
    assert checks(backups=BackupObjects(runs=(fresh,), schedules=()))["backup-runs"].state is State.OK
    assert checks(backups=BackupObjects(runs=(), schedules=()))["backup-runs"].state is State.OK


@pytest.mark.parametrize(
    ("schedules", "words"),
    [
        ((), "there is no ScheduledBackup of postgres-prod"),
        ((a_schedule(suspended=True),), "is suspended"),
        ((a_schedule(next_at=SEEN_AT - timedelta(hours=3)),), "3 h overdue"),
    ],
)
def test_a_base_backup_that_will_not_come_is_told(schedules: tuple[object, ...], words: str) -> None:
    found = checks(backups=BackupObjects(runs=(), schedules=schedules))["schedule"]  # type: ignore[arg-type]
    assert found.state is State.WARNING
    assert words in found.message
    assert found.remedy


def test_one_of_two_schedules_is_enough() -> None:
    both = (a_schedule(suspended=True), a_schedule(name="hourly"))
    assert checks(backups=BackupObjects(runs=(), schedules=both))["schedule"].state is State.OK


def test_a_claim_of_the_cluster_that_the_bucket_does_not_bear_out_is_critical() -> None:
    claimed = a_serving(claimed_backup=NEWEST.end + timedelta(hours=1))
    found = checks(serving=claimed)["claims"]
    assert (found.state, "claims a base backup at" in found.message) == (State.CRITICAL, True)
    nothing = checks(archive=seen(None, "other"))["claims"]
    assert (nothing.state, "the newest in the bucket is none" in nothing.message) == (State.CRITICAL, True)


def test_a_completed_backup_that_is_not_in_the_bucket_is_told() -> None:
    gone = replace(a_run(NEWEST), backup_id="gone", name="gone", created=NEWEST.end + timedelta(minutes=1))
    after = BackupObjects(runs=(*map(a_run, ARCHIVED.backups), gone), schedules=())
    assert checks(backups=after)["claims"].state is State.CRITICAL
    before = BackupObjects(runs=(replace(gone, created=ARCHIVED.backups[0].begin), a_run(NEWEST)), schedules=())
    assert checks(backups=before)["claims"].state is State.WARNING


def test_a_backup_that_outlived_the_retention_may_be_gone() -> None:
    old = replace(a_run(NEWEST), backup_id="gone", created=SEEN_AT - timedelta(days=31))
    assert checks(backups=BackupObjects(runs=(old, a_run(NEWEST)), schedules=()))["claims"].state is State.OK


def test_what_was_not_seen_is_unknown() -> None:
    blind = checks(archive=UNSEEN, objects=UNSEEN, backups=UNSEEN)
    for name in ("base-backup", "backup-objects", "backup-size", "backup-runs", "schedule", "claims"):
        assert blind[name].state is State.UNKNOWN
    assert checks(objects=UNSEEN)["backup-objects"].state is State.UNKNOWN
    assert checks(serving=UNSEEN)["claims"].state is State.UNKNOWN


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        ("walArchivingFailing", State.CRITICAL),
        ("invalid backup definition", State.CRITICAL),
        ("some new phase", State.WARNING),
        ("finalizing", State.OK),
        ("completed", State.OK),
    ],
)
def test_only_a_phase_that_is_known_to_be_good_is_good(phase: str, state: State) -> None:
    """E12."""
    newest = a_run(ARCHIVED.backups[-1], phase, created=SEEN_AT, ended=None)
    assert checks(backups=BackupObjects(runs=(newest,), schedules=(a_schedule(),)))["backup-runs"].state is state


@pytest.mark.parametrize("in_bucket", [True, False])
def test_a_snapshot_that_succeeds_does_not_make_up_for_a_backup_that_failed(in_bucket: bool) -> None:
    """E12."""
    failed = a_run(ARCHIVED.backups[-2], "failed", in_bucket=in_bucket)
    later = a_run(ARCHIVED.backups[-1], in_bucket=not in_bucket)
    found = checks(backups=BackupObjects(runs=(failed, later), schedules=(a_schedule(),)))["backup-runs"]
    assert found.state is State.CRITICAL
    assert failed.name in found.message


def test_a_schedule_of_snapshots_brings_nothing_into_the_bucket() -> None:
    """E12."""
    only = checks(backups=BackupObjects(runs=(), schedules=(a_schedule(in_bucket=False),)))["schedule"]
    assert (only.state, "volume snapshots only" in only.message) == (State.WARNING, True)
    both = (a_schedule(in_bucket=False), a_schedule(name="daily"))
    assert checks(backups=BackupObjects(runs=(), schedules=both))["schedule"].state is State.OK
