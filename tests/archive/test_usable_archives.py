"""What has survived, by the bucket alone."""

from dataclasses import replace

from dr.archive.contents import IncompleteBackup
from dr.archive.usable_archives import last_written, loss, usable_archives
from tests.support.archives import archive, at, backup, wal

PLACE = "gs://backups/prod"
OLD = archive(backup(3), files=wal(range(3, 10)))
NEWER = replace(archive(backup(20), files=wal(range(20, 25))), server_name="postgres-prod-recovered")


def test_the_archive_that_was_written_to_last_comes_first() -> None:
    found = usable_archives((OLD, NEWER))
    assert [one.server_name for one in found] == ["postgres-prod-recovered", "postgres-prod"]
    assert [one.newest for one in found] == [at(240), at(90)]


def test_a_survivor_tells_what_it_can_give_back() -> None:
    (found,) = usable_archives((OLD,))
    assert str(found) == (
        "postgres-prod: base backup backup-3 of 2026-04-20 00:30:00 UTC, 64 MiB, and WAL up to "
        "000000010000000000000009, archived 2026-04-20 01:30:00 UTC"
    )


def test_an_archive_that_nothing_can_be_recovered_from_is_none() -> None:
    no_backup = archive(files=wal(range(3, 10)))
    no_wal_of_its_own = archive(backup(3), files=wal(range(5, 10)))
    assert usable_archives((no_backup, no_wal_of_its_own)) == ()


def test_a_bucket_that_tells_no_times_is_older_than_one_that_does() -> None:
    silent = replace(archive(backup(3), files=dict.fromkeys(wal(range(3, 10)))), server_name="silent")
    assert last_written(silent) == backup(3).end
    assert [one.server_name for one in usable_archives((silent, OLD))] == ["postgres-prod", "silent"]


def test_what_is_lost_is_said_by_what_there_is() -> None:
    broken = archive(files=wal(range(3)), incomplete=(IncompleteBackup(backup_id="b", why="failed"),))
    told = loss((broken,), PLACE)
    assert "postgres-prod has 0 completed base backups, 1 that are not, and 3 WAL segments" in told
    assert "WAL alone restores nothing" in told
    assert loss((), PLACE).startswith(f"there is nothing below {PLACE}")
