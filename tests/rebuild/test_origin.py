"""Restored, or bootstrapped fresh: by evidence."""

from dataclasses import replace

from dr.archive.contents import Archive
from dr.rebuild.origin import DatabaseSeen, Origin, judge_origin
from tests.support.builders import a_backup, a_source

ARCHIVE = Archive(
    server_name="postgres-prod",
    backups=(replace(a_backup(), system_id="757575", timeline=2),),
    incomplete=(),
    files={},
    histories={},
    unreadable={},
)
FRESH = DatabaseSeen(system_id="111111", timeline=1, answers={"users": "0"})


def test_another_system_identifier_is_a_database_that_was_made_anew() -> None:
    judged = judge_origin(a_source(), FRESH, ARCHIVE, known={"users": "100000"})
    assert judged.origin is Origin.FRESH
    assert judged.evidence == (
        "its system identifier is 111111, that of the backups 757575",
        "its manifest bootstraps by initdb",
        "it is on timeline 1, the newest base backup on 2",
        "users 0, last known 100000",
    )


def test_the_backups_own_system_identifier_is_a_restored_one_whatever_its_manifest_says() -> None:
    judged = judge_origin(a_source(), replace(FRESH, system_id="757575"), ARCHIVE, known={})
    assert judged.origin is Origin.RESTORED


def test_a_full_table_does_not_make_a_fresh_database_a_restored_one() -> None:
    seeded = replace(FRESH, answers={"users": "100000"})
    assert judge_origin(a_source(), seeded, ARCHIVE, known={"users": "100000"}).origin is Origin.FRESH


def test_a_database_that_does_not_answer_is_not_judged_by_its_manifest() -> None:
    judged = judge_origin(a_source(bootstrap={"recovery": {"source": "old"}}), None, ARCHIVE, known={})
    assert judged.origin is Origin.UNKNOWN
    assert "its manifest bootstraps by recovery" in judged.evidence


def test_backups_that_name_no_system_identifier_prove_nothing() -> None:
    silent = replace(ARCHIVE, backups=(a_backup(),))
    assert judge_origin(a_source(), FRESH, silent, known={}).origin is Origin.UNKNOWN
