"""Restored, or bootstrapped fresh: by evidence."""

from dataclasses import replace

import pytest

from dr.archive.contents import Archive, Switch
from dr.rebuild.data_origin import DatabaseSeen, Origin, judge_origin
from tests.support.archives import SEGMENT, SYSTEM, archive, backup, switch, wal
from tests.support.builders import a_backup, a_source

ARCHIVE = Archive(
    server_name="postgres-prod",
    backups=(replace(a_backup(), system_id="757575", timeline=2),),
    incomplete=(),
    files={},
    histories={},
    unreadable={},
)
FRESH = DatabaseSeen(system_id="111111", timeline=1, lsn=5 * SEGMENT, history=(), answers={"users": "0"})
WENT = {3: (switch(1, 4.5), switch(2, 6.5))}
"""An archive that has been on three timelines; what it has ends with segment 9 of timeline 3."""
SURVIVES = archive(
    backup(3),
    files={**wal(range(3, 5)), **wal(range(4, 7), timeline=2), **wal(range(6, 10), timeline=3)},
    histories={2: WENT[3][:1], **WENT},
)


def _ours(timeline: int, *history: Switch, lsn: float = 12) -> DatabaseSeen:
    return DatabaseSeen(system_id=SYSTEM, timeline=timeline, lsn=int(lsn * SEGMENT), history=history, answers={})


def test_another_system_identifier_is_a_database_that_was_made_anew() -> None:
    judged = judge_origin(a_source(), FRESH, ARCHIVE, known={"users": "100000"})
    assert judged.origin is Origin.FRESH
    assert judged.evidence == (
        "its system identifier is 111111, that of the backups 757575",
        "its manifest bootstraps by initdb",
        "it is on timeline 1, the newest base backup on 2",
        "users 0, last known 100000",
    )


@pytest.mark.parametrize(
    "seen",
    [
        _ours(4, *WENT[3], switch(3, 9.99)),  # recovered to the end
        _ours(5, *WENT[3], switch(3, 9.99), switch(4, 11)),  # and failed over since
        _ours(3, *WENT[3], lsn=10.5),  # the lost one itself
        _ours(3, lsn=10.5),  # its history file is gone
    ],
)
def test_a_database_that_has_all_that_the_archive_has_is_restored_whatever_its_manifest_says(
    seen: DatabaseSeen,
) -> None:
    assert judge_origin(a_source(), seen, SURVIVES, known={}).origin is Origin.RESTORED


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (_ours(2, switch(1, 4.2)), "it is on timeline 2 and never was on 3"),
        (_ours(4, *WENT[3], switch(3, 7.5)), "it has timeline 3 up to LSN 0/7800000; the archive goes to LSN"),
        (_ours(3, *WENT[3], lsn=8), "it has timeline 3 up to LSN 0/8000000; the archive goes to LSN"),
        (_ours(3, switch(1, 4.2), switch(2, 5)), "it left 1 at 0/4333333, 2 at 0/5000000; the archive's left 1 at"),
        (_ours(1, lsn=20), "it is on timeline 1 and never was on 3"),
    ],
)
def test_a_database_with_the_right_identifier_and_older_data_is_stale(seen: DatabaseSeen, why: str) -> None:
    """E4: all generations of an environment have one system identifier."""
    judged = judge_origin(a_source(bootstrap={"recovery": {"source": "old"}}), seen, SURVIVES, known={})
    assert judged.origin is Origin.STALE
    assert why in judged.evidence[0]


def test_what_cannot_be_compared_is_not_restored() -> None:
    """E4: an archive whose end is not known, or a database without its history file."""
    assert judge_origin(a_source(), replace(FRESH, system_id="757575"), ARCHIVE, known={}).origin is Origin.UNKNOWN
    assert judge_origin(a_source(), _ours(4), SURVIVES, known={}).origin is Origin.UNKNOWN


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
