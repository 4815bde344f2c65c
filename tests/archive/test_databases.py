"""Two databases in one archive (E3): each has its own windows, and it is said that there are two."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dr.archive.contents import Archive, BaseBackup, Catalogue
from dr.archive.databases import backwards, part_of, parts, several, strangers, systems
from dr.archive.usable_archives import usable_archives
from dr.archive.wal_validity import FirstPage, with_pages
from dr.archive.window import holes, unusable, windows
from dr.core.errors import RefusedError
from dr.core.target import TimeTarget
from dr.core.wal_names import name_of
from dr.health.check import State
from dr.recovery.situation import Situation
from tests.support.archives import SEGMENT, SYSTEM, archive, at, backup, wal
from tests.support.builders import a_decision, a_situation
from tests.support.health_fixtures import checks, seen

NEW_SYSTEM = "7600000000000000000"
LATER = timedelta(days=3)
OLD = backup(3)
NEW = replace(backup(5, suffix="-new"), begin=at(45) + LATER, end=at(50) + LATER, system_id=NEW_SYSTEM)


def _name(number: int) -> str:
    return name_of(1, number, SEGMENT)


def _archive(old: range = range(1, 41), new: range = range(1, 13), *backups: BaseBackup, read: bool = False) -> Archive:
    """A database's segments ``old``, and those of one that was created again three days later, written over them."""
    over = {name: time + LATER for name, time in wal(new).items() if time}
    owners = {**dict.fromkeys(wal(old), SYSTEM), **dict.fromkeys(over, NEW_SYSTEM)} if read else {}
    return archive(*(backups or (OLD, NEW)), files={**wal(old), **over}, read=owners)


def _situation(found: Archive) -> Situation:
    names = frozenset({"postgres-prod"})
    catalogue = Catalogue(server_name="postgres-prod", backups=found.backups, server_names=names)
    return a_situation(archive=found, catalogue=catalogue, seen_at=at(0) + 2 * LATER, database_time=at(0) + 2 * LATER)


@pytest.mark.parametrize("read", [False, True], ids=["by times", "by first pages"])
def test_a_window_is_of_one_database(read: bool) -> None:
    # GIVEN an old base backup whose WAL was written over, up to segment 12
    found = _archive(read=read)
    # THEN only the new database can be recovered, up to where the old one's segments begin
    (window,) = windows(found)
    assert (window.system_id, window.start, window.end.segment) == (NEW_SYSTEM, NEW.end, _name(12))
    assert unusable(found) == (OLD,)
    assert systems(found) == (SYSTEM, NEW_SYSTEM)


@pytest.mark.parametrize("read", [False, True], ids=["by times", "by first pages"])
def test_what_was_not_written_over_can_still_be_recovered(read: bool) -> None:
    # GIVEN a base backup of the old one behind what was written over
    behind = backup(20)
    old, new = windows(_archive(range(1, 41), range(1, 13), behind, NEW, read=read))
    assert (old.system_id, old.start, old.end.segment) == (SYSTEM, behind.end, _name(40))
    assert new.end.segment == _name(12)


def test_a_database_that_went_through_an_upgrade_goes_on_with_the_numbers() -> None:
    upgraded = replace(backup(45), system_id=NEW_SYSTEM)
    old, new = windows(archive(OLD, upgraded, files=wal(range(1, 51)), read={_name(42): NEW_SYSTEM}))
    # THEN the old window ends where the new database is first seen, though its base backup came later
    assert (old.system_id, old.end.segment) == (SYSTEM, _name(41))
    assert (new.start, new.end.segment) == (upgraded.end, _name(50))
    assert holes(_archive()) == ()


def test_one_database_is_one_part_however_the_times_run() -> None:
    # GIVEN objects that were copied to another bucket, in any order
    files = dict(zip(wal(range(1, 9)), reversed([*wal(range(1, 9)).values()]), strict=True))
    copied = archive(OLD, files=files)
    assert parts(copied) == (copied,)
    assert part_of(copied, OLD) is copied
    assert len(windows(copied)) == 1
    assert several(copied) == ""
    # AND where they run backwards is where to look
    assert [*backwards(_archive())] == [_name(12), _name(13)]


def test_a_base_backup_without_an_identifier_counts_as_the_newest_ones() -> None:
    unnamed = replace(backup(6, suffix="-x"), begin=at(55) + LATER, end=at(60) + LATER, system_id="")
    (window,) = windows(_archive(range(1, 41), range(1, 13), OLD, NEW, unnamed))
    assert window.backups == (NEW, unnamed)


def test_wal_of_a_database_without_base_backups_is_as_damaged() -> None:
    # GIVEN that the Cluster was created again, and no base backup was taken since
    stranger = FirstPage(
        magic=0xD116, long=True, timeline=1, position=40 * SEGMENT, system_id=NEW_SYSTEM, segment_size=SEGMENT
    )
    found = with_pages(archive(OLD, files=wal(range(1, 41)), read={}), {_name(40): stranger})
    assert strangers(found) == (NEW_SYSTEM,)
    assert "of another database" in found.damaged[_name(40)]
    assert f"{NEW_SYSTEM} (WAL only)" in several(found)
    # THEN all that was committed cannot be had, and it is said why
    with pytest.raises(RefusedError) as refused:
        a_decision(_situation(found), target=None)
    assert refused.value.code == "wal-unreadable"
    assert NEW_SYSTEM in refused.value.cause


def test_a_target_in_the_days_of_the_old_one_is_refused_where_its_wal_is_gone() -> None:
    with pytest.raises(RefusedError) as refused:
        a_decision(_situation(_archive()), target=TimeTarget(at(200)))
    assert refused.value.code == "wal-missing"
    assert "base backup backup-3 cannot be used" in refused.value.cause
    assert "is an archive of 2 databases" in refused.value.cause


def test_a_plan_says_that_there_are_two_and_which_is_recovered() -> None:
    decision = a_decision(_situation(_archive(read=True)), target=TimeTarget(at(60) + LATER))
    (warning,) = decision.warnings
    assert f"2 databases, by their system identifiers: {SYSTEM} (base backups from backup-3 on)" in warning
    assert f"This recovery is of {NEW_SYSTEM}." in warning


def test_a_plan_says_that_the_source_is_another_database_today() -> None:
    found = archive(OLD, files=wal(range(1, 41)))
    situation = _situation(found)
    assert situation.source is not None
    situation = replace(situation, source=replace(situation.source, system_id=NEW_SYSTEM))
    (warning,) = a_decision(situation, target=TimeTarget(at(200))).warnings
    assert f"The source runs another database today, by its system identifier, {NEW_SYSTEM}" in warning


def test_health_says_that_there_are_two_and_measures_the_window_of_the_newer() -> None:
    found = checks(archive=seen(_archive(range(1, 41), range(1, 13), backup(20), NEW)))
    assert (found["databases"].state, NEW_SYSTEM in found["databases"].message) == (State.WARNING, True)
    assert found["window"].values["window_start_timestamp_seconds"] == NEW.end.timestamp()
    assert checks()["databases"].state is State.OK


def test_a_survivor_ends_with_its_own_wal() -> None:
    (survivor,) = usable_archives((_archive(),))
    assert survivor.window.end.segment == _name(12)
