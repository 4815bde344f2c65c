"""A WAL segment judged by its object's size and by its first page (E1)."""

import gzip
import lzma
import struct
from dataclasses import replace

import pytest

from dr.archive.wal_validity import Expected, FirstPage, fault_of_end, fault_of_page, fault_of_size
from tests.support.archives import SEGMENT, SYSTEM, first_page

NAME = "000000010000000000000005"
EXPECTED = Expected(
    timeline=1, position=5 * SEGMENT, segment_size=SEGMENT, majors={17}, systems={SYSTEM}, switches=False
)
OF_POSTGRESQL_15 = bytes.fromhex("10d1020001000000000000010000000000000000000000004a477fe542670a6b0000000100200000")
"""The first segment that PostgreSQL 15's own initdb made."""


def _fault(content: bytes, expected: Expected = EXPECTED) -> str:
    return fault_of_page(FirstPage.parse(content), expected)


def test_what_postgresql_wrote_is_read() -> None:
    page = FirstPage.parse(OF_POSTGRESQL_15)
    assert page == FirstPage(
        magic=0xD110,
        long=True,
        timeline=1,
        position=SEGMENT,
        system_id="7713090848841221962",
        segment_size=SEGMENT,
    )
    first = replace(EXPECTED, position=SEGMENT, majors={15}, systems={"7713090848841221962"})
    assert _fault(OF_POSTGRESQL_15, first) == ""


def test_the_other_byte_order_is_read_too() -> None:
    turned = struct.pack(">HHIQI4xQII", *struct.unpack("<HHIQI4xQII", first_page(NAME)))
    assert _fault(turned) == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"magic": 0}, "does not begin as a WAL segment of PostgreSQL 17 does (magic number 0000)"),
        ({"magic": 0xD113}, "(magic number D113)"),
        ({"info": 0x0001}, "does not begin as"),
        ({"sysid": 7}, f"its system identifier is 7, the base backups' is {SYSTEM}"),
        ({"seg_size": 2**20}, "it says that segments have 1,048,576 bytes, and they have 16,777,216"),
        ({"pageaddr": 4 * SEGMENT}, "it begins at LSN 0/4000000"),
        ({"tli": 2}, "it is of timeline 2"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_postgresql_would_not_read_is_a_fault(changes: dict[str, int], told: str) -> None:
    assert told in _fault(first_page(NAME, **changes))


def test_a_page_that_is_not_there_is_a_fault() -> None:
    assert "ends within" in _fault(first_page(NAME)[:39])


def test_the_first_segment_of_a_timeline_begins_with_the_older_ones_pages() -> None:
    second = replace(EXPECTED, timeline=2)
    assert "it is of timeline 1" in _fault(first_page(NAME), second)
    assert _fault(first_page(NAME), replace(second, switches=True)) == ""
    assert "it is of timeline 3" in _fault(first_page(NAME, tli=3), replace(second, switches=True))


def test_only_what_is_known_is_held_against_it() -> None:
    unknown = replace(EXPECTED, majors=(), systems=())
    assert _fault(first_page(NAME, magic=0xD113, sysid=7), unknown) == ""
    assert _fault(first_page(NAME, magic=0xD1FF), replace(EXPECTED, majors={17, 99})) == ""
    assert "of PostgreSQL does" in _fault(first_page(NAME, magic=0x4B50), unknown)


@pytest.mark.parametrize(
    ("size", "suffix", "sizes", "told"),
    [
        (SEGMENT, "", {SEGMENT}, ""),
        (SEGMENT // 2, "", {SEGMENT}, "its object has 8,388,608 bytes, and a segment has 16,777,216"),
        (0, "", {SEGMENT}, "its object has 0 bytes"),
        (2**26, "", set(), ""),
        (SEGMENT - 1, "", set(), "which no segment has"),
        (2**19, "", set(), "which no segment has"),
        (0, ".gz", {SEGMENT}, "its object has 0 bytes"),
        (20_000, ".gz", {SEGMENT}, ""),
        (None, "", {SEGMENT}, ""),
    ],
)
def test_an_object_of_another_size_is_a_fault(size: int | None, suffix: str, sizes: set[int], told: str) -> None:
    found = fault_of_size(size, suffix, sizes)
    assert (told in found) if told else found == ""


def test_a_compressed_segment_is_judged_by_its_end_where_that_says_something() -> None:
    whole = bytes(SEGMENT)
    assert fault_of_end(".gz", gzip.compress(whole, 1)[-4:], SEGMENT) == ""
    assert "its end is missing" in fault_of_end(".gz", gzip.compress(whole, 1)[:-9][-4:], SEGMENT)
    assert fault_of_end(".xz", lzma.compress(whole, preset=0)[-4:], SEGMENT) == ""
    assert "its end is missing" in fault_of_end(".xz", lzma.compress(whole, preset=0)[:-9][-4:], SEGMENT)
    assert fault_of_end(".zst", b"none", SEGMENT) == ""
