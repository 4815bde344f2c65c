"""Reading what pg_waldump prints, in the wording of several versions."""

from datetime import UTC, datetime

from dr.archive.wal_lines import RowChange, read_changes, read_commit
from tests.support.pages import CHANGES, COMMIT_1029


def test_a_commit_tells_its_files_and_its_subtransactions() -> None:
    commit = read_commit(COMMIT_1029, number=7)
    assert commit is not None
    assert (commit.xid, commit.lsn, commit.number) == (1029, 0x92D9160, 7)
    assert commit.time == datetime(2026, 11, 23, 9, 17, 40, 127443, UTC)
    assert commit.files == ("base/16385/17484", "base/16385/17487", "base/16385/17488", "base/16385/17489")
    assert commit.subtransactions == {1031, 1032}


def test_a_prepared_transaction_is_the_one_that_was_prepared() -> None:
    line = COMMIT_1029.replace("COMMIT 2026", "COMMIT_PREPARED 900: 2026").replace("tx:       1029", "tx:          0")
    commit = read_commit(line)
    assert commit is not None
    assert commit.xid == 900


def test_what_is_no_commit_is_none() -> None:
    assert read_commit(COMMIT_1029.replace("COMMIT", "ABORT")) is None
    assert read_commit("") is None


def test_changes_of_rows_up_to_version_15() -> None:
    found = list(read_changes(CHANGES.splitlines()))
    assert found[0] == RowChange(xid=1028, lsn=0x92CF298, at=(1, 1), to=(1, 5))
    assert found[2] == RowChange(xid=1032, lsn=0x92D8F48, at=(1, 5))
    assert found[3] == RowChange(xid=1034, lsn=0x92DCDA8, at=(1, 7), to=(1, 8))
    assert len(found) == 9


def test_changes_of_rows_from_version_16_on() -> None:
    head = "rmgr: Heap        len (rec/tot):     59/    59, tx:        754, lsn: 0/0154BB28, prev 0/0154BAF0, desc: "
    lines = [
        head + "DELETE xmax: 754, off: 6, infobits: [KEYS_UPDATED], flags: 0x00, blkref #0: rel 1663/5/1259 blk 3",
        head + "HOT_UPDATE old_xmax: 754, old_off: 4, old_infobits: [], flags: 0x40, new_xmax: 0, new_off: 9, "
        "blkref #0: rel 1663/5/1259 blk 3",
        head + "UPDATE old_xmax: 754, old_off: 4, old_infobits: [], flags: 0x00, new_xmax: 0, new_off: 2, "
        "blkref #0: rel 1663/5/1259 blk 8 FPW, blkref #1: rel 1663/5/1259 blk 3",
    ]
    assert [(change.at, change.to) for change in read_changes(lines)] == [
        ((3, 6), None),
        ((3, 4), (3, 9)),
        ((3, 4), (8, 2)),
    ]


def test_other_records_are_passed_over() -> None:
    line = CHANGES.splitlines()[0]
    assert list(read_changes([line.replace("HOT_UPDATE", "INPLACE"), "", "nonsense"])) == []
