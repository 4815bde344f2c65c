"""Health of the WAL."""

from dataclasses import replace
from datetime import timedelta

from dr.cnpg.cluster import Archiving
from dr.core.errors import Problem
from dr.core.wal_names import name_of
from dr.health.check import State
from tests.support.archives import SEGMENT, SYSTEM, archive, at, backup, wal
from tests.support.builders import a_plugin_source, a_source
from tests.support.health_fixtures import ARCHIVED, LAST_SEGMENT, SEEN_AT, UNSEEN, a_database, a_serving, checks, seen


def test_a_cluster_that_archives_nowhere_is_critical() -> None:
    found = checks(serving=a_serving(a_source(backup=None)))["archiving"]
    assert (found.state, "archives to no object store" in found.message) == (State.CRITICAL, True)


def test_a_plugin_that_is_listed_and_archives_nothing_is_what_helps() -> None:
    """C17."""
    idle = a_source(backup=None, plugins=[{"name": "barman-cloud.cloudnative-pg.io"}])
    found = checks(serving=a_serving(idle))["archiving"]
    assert (found.state, "isWALArchiver: true" in found.remedy) == (State.CRITICAL, True)


def test_what_cloudnativepg_says_of_archiving_counts() -> None:
    failing = replace(a_source(), archiving=Archiving(working=False, message="exit status 1"))
    found = checks(serving=a_serving(failing))["archiving"]
    assert (found.state, "exit status 1" in found.message) == (State.CRITICAL, True)
    silent = replace(a_source(), archiving=Archiving(working=None))
    assert checks(serving=a_serving(silent))["archiving"].state is State.WARNING


def test_a_failure_that_is_newer_than_the_last_success_is_critical() -> None:
    failed = a_database(last_failed="0000000100000000000002BC", last_failed_at=SEEN_AT + timedelta(seconds=1))
    assert checks(database=failed)["archiving"].state is State.CRITICAL
    recovered = a_database(last_failed="0000000100000000000002BC", last_failed_at=SEEN_AT - timedelta(seconds=1))
    assert checks(database=recovered)["archiving"].state is State.OK


def test_the_same_holds_for_the_plugin() -> None:
    assert checks(serving=a_serving(a_plugin_source()))["archiving"].state is State.OK


def test_a_full_segment_that_waits_is_told_by_how_long() -> None:
    states = []
    for minutes in (1, 5, 20):
        since = SEEN_AT - timedelta(minutes=minutes)
        states.append(checks(database=a_database(waiting=3, waiting_since=since))["wal-lag"].state)
    assert states == [State.OK, State.WARNING, State.CRITICAL]


def test_the_lag_is_measured_in_seconds_and_bytes() -> None:
    since = SEEN_AT - timedelta(seconds=30)
    found = checks(database=a_database(waiting=2, waiting_since=since, now=SEEN_AT + timedelta(seconds=3)))["wal-lag"]
    assert found.values == {
        "wal_behind_bytes": 2**20,
        "wal_archived_age_seconds": 3,
        "wal_waiting_segments": 2,
        "wal_waiting_seconds": 33,
    }
    assert "1.0 MiB were written since, 2 segments wait, the oldest for 33 s" in found.message


def test_a_quiet_database_is_not_late() -> None:
    """Without writes nothing is archived, for however long."""
    assert checks(database=a_database(now=SEEN_AT + timedelta(days=2)))["wal-lag"].state is State.OK


def test_a_segment_that_was_written_and_is_not_archived_for_long_is_late() -> None:
    late = a_database(now=SEEN_AT + timedelta(hours=2), position=703 * ARCHIVED.segment_size)
    assert checks(database=late)["wal-lag"].state is State.CRITICAL


def test_a_database_that_never_archived_is_told_so() -> None:
    assert checks(database=a_database(last_archived="", last_archived_at=None))["wal-lag"].state is State.WARNING


def test_a_hole_is_worse_without_a_base_backup_after_it() -> None:
    bridged = archive(backup(3), backup(14), files=wal([*range(1, 8), *range(11, 21)]))
    found = checks(archive=seen(bridged))["wal-holes"]
    assert (found.state, "backup-14" in found.message) == (State.WARNING, True)
    open_ended = archive(backup(3), files=wal([*range(1, 8), *range(11, 21)]))
    assert checks(archive=seen(open_ended))["wal-holes"].state is State.CRITICAL
    assert found.values == {"wal_holes_total": 1}


def test_a_hole_that_may_close_or_that_nobody_needs_is_none() -> None:
    early = archive(backup(14), files=wal([*range(1, 8), *range(11, 21)]))
    assert checks(archive=seen(early))["wal-holes"].state is State.OK
    fresh = archive(backup(3), files=wal([*range(1, 8), 9]))
    assert checks(archive=seen(fresh), seen_at=at(95))["wal-holes"].state is State.OK


def test_both_ends_of_the_window_are_measured() -> None:
    found = checks()["window"]
    assert found.state is State.OK
    assert found.values == {
        "window_start_timestamp_seconds": ARCHIVED.backups[0].end.timestamp(),
        "window_end_timestamp_seconds": SEEN_AT.timestamp(),
    }


def test_nothing_to_recover_is_critical() -> None:
    assert "nothing of serverName postgres-prod" in checks(archive=seen(None, "other"))["window"].message
    empty = checks(archive=seen(archive(files=wal(range(5)))))["window"]
    assert (empty.state, "nothing can be recovered" in empty.message) == (State.CRITICAL, True)


def test_a_newest_base_backup_without_its_own_wal_is_critical() -> None:
    found = checks(archive=seen(archive(backup(3), backup(30, segments=3), files=wal(range(31)))))["window"]
    assert (found.state, "of no use" in found.message) == (State.CRITICAL, True)


def test_wal_that_postgresql_archived_and_the_bucket_lost_is_critical() -> None:
    shorter = archive(*ARCHIVED.backups, files=wal(range(690)))
    late = a_database(now=SEEN_AT + timedelta(minutes=2))
    found = checks(archive=seen(shorter), database=late)["window"]
    assert (found.state, "which the bucket does not have" in found.message) == (State.CRITICAL, True)
    # AND the listing may be a minute older
    assert checks(archive=seen(shorter))["window"].state is State.OK


CUT = "its object has 8,388,608 bytes, and a segment has 16,777,216"


def test_wal_that_cannot_be_replayed_is_critical_until_a_base_backup_does_without() -> None:
    """E1."""
    late, early = name_of(1, 696, SEGMENT), name_of(1, 8, SEGMENT)
    found = checks(archive=seen(replace(ARCHIVED, damaged={late: CUT})))
    assert (found["wal-readable"].state, found["wal-holes"].state) == (State.CRITICAL, State.CRITICAL)
    for name in ("wal-readable", "wal-holes"):
        assert late in found[name].message
        assert CUT in found[name].message
    assert "what damaged it" in found["wal-holes"].remedy
    bridged = replace(ARCHIVED, damaged={early: CUT})
    assert checks(archive=seen(bridged))["wal-readable"].state is State.WARNING


def test_a_newest_base_backup_whose_wal_cannot_be_replayed_is_critical() -> None:
    """E1."""
    name = ARCHIVED.backups[-1].begin_wal
    assert checks(archive=seen(replace(ARCHIVED, damaged={name: CUT})))["wal-readable"].state is State.CRITICAL


def test_wal_that_could_not_be_read_is_unknown_and_critical_where_it_may_not_be() -> None:
    """E1."""
    for code, state in (("bucket-unreachable", State.UNKNOWN), ("archive-encrypted", State.CRITICAL)):
        unasked = {LAST_SEGMENT: Problem(code=code, cause="it says no", remedy="ask again")}
        found = checks(archive=seen(replace(ARCHIVED, unasked=unasked)))["wal-readable"]
        assert (found.state, found.remedy) == (state, "ask again")
        assert f"such as {LAST_SEGMENT}: it says no" in found.message


def test_how_much_of_the_wal_was_looked_into_is_said() -> None:
    read = dict.fromkeys([LAST_SEGMENT], SYSTEM)
    found = checks(archive=seen(replace(ARCHIVED, read=read)))["wal-readable"]
    assert (found.state, "the first pages of 1 of 700 segments" in found.message) == (State.OK, True)
    assert found.values == {"wal_unreadable_total": 0, "wal_pages_read_total": 1}


def test_what_was_not_seen_is_unknown_and_says_why() -> None:
    found = checks(archive=UNSEEN, database=UNSEEN)
    for name in ("wal-lag", "wal-holes", "wal-readable", "window", "databases"):
        assert (found[name].state, found[name].message) == (State.UNKNOWN, "not allowed to look")
    assert checks(serving=UNSEEN)["archiving"].state is State.UNKNOWN


def test_a_history_file_is_an_archived_file() -> None:
    """E12."""
    assert checks(database=a_database(last_archived="00000002.history"))["wal-lag"].state is State.OK
