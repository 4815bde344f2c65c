"""Reading the rows of a catalog's page, on a page that a real PostgreSQL wrote."""

from dr.before_drop.heap_page import classes, namespaces, rows_of_page
from tests.support.pages import PAGE, PAGE_NUMBER, PUBLIC

ROWS = {row.row.place[1]: row for row in classes({PAGE_NUMBER: PAGE})}


def test_a_deleted_row_still_has_its_name_and_who_deleted_it() -> None:
    probe = ROWS[5]
    assert (probe.oid, probe.name, probe.namespace, probe.filenode) == (17484, "probe", PUBLIC, 17484)
    assert (probe.row.made_by, probe.row.ended_by, probe.row.ended) == (1028, 1032, None)
    assert probe.row.next_place == probe.row.place == (PAGE_NUMBER, 5)


def test_a_replaced_row_tells_where_its_next_version_stands() -> None:
    assert ROWS[7].name == "probe2"
    assert ROWS[7].row.next_place == (PAGE_NUMBER, 8)
    assert ROWS[7].row.ended is True
    assert ROWS[8].name == "probe3"


def test_a_live_row_was_ended_by_nobody() -> None:
    assert (ROWS[46].name, ROWS[46].row.ended_by, ROWS[46].row.ended) == ("pg_foreign_table", 0, False)


def test_a_page_says_up_to_where_it_has_the_wal() -> None:
    assert {row.row.page_lsn for row in ROWS.values()} == {0x9306418}


def test_a_view_has_no_file() -> None:
    assert (ROWS[12].name, ROWS[12].filenode) == ("v", 0)


def test_unused_and_pruned_pointers_are_passed_over() -> None:
    assert 2 not in ROWS
    assert 13 not in ROWS


def test_what_is_no_heap_page_has_no_rows() -> None:
    # GIVEN nothing, zeros, half a page, a page of another layout, and one whose header contradicts itself
    other_layout = PAGE[:18] + b"\x03\x20" + PAGE[20:]
    contradicting = PAGE[:12] + b"\xff\xff" + PAGE[14:]
    for page in (b"", bytes(8192), PAGE[:4096], other_layout, contradicting):
        assert list(rows_of_page(page, 0)) == []


def test_a_schema_is_read_by_the_same_leading_columns() -> None:
    # GIVEN the same page, of which pg_namespace's two leading columns are pg_class's too
    found = {row.oid: row.name for row in namespaces({PAGE_NUMBER: PAGE})}
    assert found[17484] == "probe"


def test_a_row_that_is_only_locked_or_whose_end_was_rolled_back_is_not_ended() -> None:
    # GIVEN the deleted row's header, with each bit that takes the end back; they stand 16 bytes after t_xmax
    header = [at for at in range(len(PAGE)) if PAGE.startswith((1032).to_bytes(4, "little"), at)]
    assert len(header) == 4, "probe, its key, its TOAST table and that one's index"
    for bit in (0x0080, 0x0800, 0x1000):
        page = bytearray(PAGE)
        for at in header:
            flags = int.from_bytes(PAGE[at + 16 : at + 18], "little") | bit
            page[at + 16 : at + 18] = flags.to_bytes(2, "little")
        again = {row.row.place[1]: row for row in classes({PAGE_NUMBER: bytes(page)})}
        assert (again[5].row.ended_by, again[5].row.ended) == (0, False)
