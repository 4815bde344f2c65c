"""Which base backup a recovery starts from."""

from datetime import timedelta

import pytest

from dr.archive.contents import BaseBackup, Catalogue
from dr.core.target import TimeTarget
from tests.support.builders import NOW, a_backup

OLD = a_backup(NOW - timedelta(days=2), "old")
NEW = a_backup(NOW - timedelta(days=1), "new")


def _catalogue(*backups: BaseBackup) -> Catalogue:
    return Catalogue(server_name="postgres-prod", backups=backups, server_names=frozenset())


@pytest.mark.parametrize(
    ("after_new", "chosen"),
    [(timedelta(hours=1), NEW), (timedelta(0), NEW), (timedelta(microseconds=-1), OLD)],
    ids=["later than its end", "at its end", "a microsecond before its end"],
)
def test_the_newest_backup_that_had_ended_by_the_target_is_taken(after_new: timedelta, chosen: BaseBackup) -> None:
    assert _catalogue(OLD, NEW).base_for(TimeTarget(NEW.end + after_new)) == chosen


def test_a_backup_that_was_still_running_at_the_target_is_not_taken() -> None:
    assert _catalogue(NEW).base_for(TimeTarget(NEW.begin)) is None


def test_the_order_of_the_backups_does_not_matter() -> None:
    assert _catalogue(NEW, OLD).base_for(TimeTarget(NOW)) == NEW


def test_for_the_end_of_the_wal_the_newest_backup_is_taken() -> None:
    assert _catalogue(OLD, NEW).base_for(None) == NEW


def test_the_first_recoverable_moment_is_the_end_of_the_oldest_backup() -> None:
    assert _catalogue(OLD, NEW).first_recoverable == OLD.end


def test_without_backups_nothing_is_recoverable() -> None:
    assert _catalogue().first_recoverable is None
    assert _catalogue().base_for(TimeTarget(NOW)) is None
