"""From the catalog's page and the WAL to the commit that dropped a table."""

from dataclasses import replace
from datetime import datetime

import pytest

from dr.archive.wal_lines import WalView, read_changes, read_commit
from dr.before_drop.drops import CatalogView, Ending, as_drop, candidates, doubtful, drop_unknown, endings
from dr.before_drop.heap_page import CatalogRow, classes
from dr.core.target import written
from dr.postgres.table_name import TableName
from tests.support.builders import an_environment
from tests.support.pages import CHANGES, COMMITS, DATABASE, PAGE, PAGE_NUMBER, PUBLIC

READ = [read_commit(line, number=number) for number, line in enumerate(COMMITS, start=10)]
WAL = WalView(
    changes=tuple(read_changes(CHANGES.splitlines())),
    commits=tuple(commit for commit in READ if commit),
    total=20,
    last=datetime.fromisoformat("2026-11-23T09:18:00+00:00"),
    first_segment="000000010000000000000009",
)
NOTHING_READ = replace(WAL, changes=(), commits=())
ROWS = tuple(classes({PAGE_NUMBER: PAGE}))
FILE_LSN_BEFORE_ALL = 0x9000000


def _catalog(
    name: str, *, schema: int = PUBLIC, exists: bool = False, rows: tuple[CatalogRow, ...] = ROWS
) -> CatalogView:
    return CatalogView(rows=tuple(row for row in rows if row.name == name), schemas=frozenset({schema}), exists=exists)


def _ends(name: str, wal: WalView = WAL, **catalog: object) -> tuple[Ending, ...]:
    return endings(_catalog(name, **catalog), wal, {})  # type: ignore[arg-type]


def _xids(found: tuple[Ending, ...]) -> list[int | None]:
    return [ending.commit.xid if ending.commit else None for ending in found]


def test_a_drop_in_a_subtransaction_is_the_commit_of_the_whole() -> None:
    (ending,) = _ends("probe")
    assert (ending.oid, ending.xid) == (17484, 1032)
    assert _xids((ending,)) == [1029]


def test_a_table_of_a_dropped_schema_is_found_by_the_schema_that_was() -> None:
    assert _xids(_ends("probe4", schema=17494)) == [1039]
    assert _ends("probe4", schema=PUBLIC) == ()


def test_a_view_has_no_file_and_is_found_all_the_same() -> None:
    assert _xids(_ends("v")) == [1041]


def test_a_rolled_back_drop_and_a_truncate_are_no_drops() -> None:
    assert _ends("probe3", exists=True) == ()


def test_a_renamed_table_was_not_dropped() -> None:
    assert _ends("probe2") == ()


def test_a_table_that_was_renamed_and_then_dropped_is_gone_by_that_drop() -> None:
    # GIVEN that the drop of probe3 (once probe2) had not been rolled back
    (commit,) = (commit for commit in WAL.commits if commit.xid == 1039)
    wal = replace(WAL, commits=(*WAL.commits, replace(commit, xid=1038, number=99)))
    assert _xids(_ends("probe2", wal)) == [1038]


def test_a_row_that_the_file_still_has_as_live_is_followed_through_the_wal() -> None:
    # GIVEN the page as it was on disk before any of it: the first version alone, ended by nobody
    (first, *_) = (row for row in ROWS if row.name == "probe")
    stale = replace(first, row=replace(first.row, ended_by=0, ended=False, next_place=first.row.place, page_lsn=1))
    # THEN update and drop are found by the row's position, and the drop that was rolled back is not taken
    assert _xids(_ends("probe", rows=(stale,))) == [1029]


def test_changes_that_the_page_has_already_are_not_applied_to_it_again() -> None:
    # GIVEN another live row in the place that the WAL says was deleted before the page was written
    (row,) = (row for row in ROWS if row.row.place == (PAGE_NUMBER, 5))
    live = replace(row, row=replace(row.row, ended_by=0, ended=False))
    assert _ends("probe", rows=(live,)) == ()


def test_where_the_wal_is_too_young_the_transaction_is_known_and_its_commit_is_not() -> None:
    catalog = _catalog("probe")
    assert doubtful(catalog, NOTHING_READ) == {1032}
    assert endings(catalog, NOTHING_READ, {1032: True}) == (Ending(oid=17484, xid=1032, commit=None),)
    assert endings(catalog, NOTHING_READ, {1032: False}) == ()


def test_the_last_of_several_drops_comes_last() -> None:
    # GIVEN the view's row under the name of the table
    both = (*ROWS, *(replace(row, name="probe") for row in ROWS if row.name == "v"))
    assert _xids(_ends("probe", rows=both)) == [1029, 1041]


def test_the_target_is_just_before_the_commit() -> None:
    (ending,) = _ends("probe")
    assert ending.commit is not None
    drop = as_drop(
        "public.probe", ending.commit, WAL, kept=WAL.commits[0], called=None, earlier=[WAL.commits[0].time], again=True
    )
    assert written(drop.target) == "targetLSN=0/92D9160, exclusive=true"
    assert (drop.left_out.count, drop.left_out.last) == (10, WAL.last)
    assert drop.facts == {
        "Dropped": "public.probe, by transaction 1029, committed at 2026-11-23 09:17:40.127443 UTC; an earlier one of "
        "that name at 2026-11-23 09:17:40.130000 UTC; whether it was renamed before that is not known; there is a "
        "table of that name now",
        "Last kept": "transaction 1028, committed at 2026-11-23 09:17:40.130000 UTC",
    }


def test_candidates_are_the_commits_that_deleted_files_and_rows_of_the_catalog() -> None:
    # WHEN nothing has the name any more; 1037 was a TRUNCATE
    assert [commit.xid for commit in candidates(WAL, DATABASE)] == [1039, 1029]
    assert candidates(WAL, 5) == ()


def test_a_candidate_comes_with_its_command_and_the_word_that_it_is_not_certain() -> None:
    table = TableName("public", "probe")
    problem = drop_unknown(an_environment().commands, table, WAL.first_segment, candidates(WAL, DATABASE)[:1])
    assert problem.code == "drop-uncertain"
    assert "not certain" in problem.remedy
    assert (
        "python -m dr pitr --env prod --target-lsn 0/92EB7C0 --exclusive --expect-table public.probe" in problem.remedy
    )
    assert drop_unknown(an_environment().commands, table, WAL.first_segment, ()).code == "drop-unknown"


@pytest.mark.parametrize("count", [2, 12])
def test_several_candidates_are_listed_newest_first_up_to_eight(count: int) -> None:
    (commit,) = (commit for commit in WAL.commits if commit.xid == 1039)
    found = [replace(commit, xid=xid) for xid in range(count)]
    remedy = drop_unknown(an_environment().commands, TableName("public", "probe"), "0", found).remedy
    assert remedy.count("--target-lsn") == min(count, 8)
    assert ("and 4 earlier ones" in remedy) is (count == 12)
