"""First pages read from a bucket: what is found in them, and each way of not being able to read them (E1)."""

import sys
import time
from urllib.parse import quote

import pytest

from dr.archive.contents import Archive
from dr.archive.reader import OpenArchive, open_archive
from dr.archive.wal_reader import look_into
from dr.config.backup_location import BackupLocation
from dr.core.wal_names import name_of
from tests.support.archives import PACK, SEGMENT, SYSTEM, backup, first_page, path_of, put_backup, put_wal, wal
from tests.support.builders import BUCKET
from tests.support.doubles import Asked, ObjectStoreDouble

PLACE = BackupLocation(bucket=BUCKET, path="prod")
SERVER = "postgres-prod"
NAMES = [name_of(1, number, SEGMENT) for number in range(3, 8)]
BAD = NAMES[2]

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def archived(store: ObjectStoreDouble) -> ObjectStoreDouble:
    """Segments 3 to 7 and a base backup in 3."""
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal(range(3, 8)))
    return store


def _opened() -> OpenArchive:
    return open_archive(PLACE, SERVER)


def _looked(seconds: float = 10) -> Archive:
    return look_into(_opened(), NAMES, seconds=seconds)


def _media(name: str, suffix: str = "") -> str:
    return f"/download/storage/v1/b/{BUCKET}/o/{quote(path_of(SERVER, name, suffix), safe='')}"


def test_what_is_as_it_should_be_is_read_with_whose_it_is(archived: ObjectStoreDouble) -> None:
    found = _looked()
    assert (found.damaged, found.unasked) == ({}, {})
    assert found.read == dict.fromkeys(NAMES, SYSTEM)
    # AND no more than the header was asked for
    ranges = [
        asked.headers["range"]
        for asked in archived.asked
        if asked.path.startswith("/download") and "wals" in asked.path
    ]
    assert ranges == ["bytes=0-39"] * 5


def test_a_segment_that_was_cut_is_known_from_the_listing(archived: ObjectStoreDouble) -> None:
    archived.sizes[path_of(SERVER, BAD)] = SEGMENT // 2
    opened = _opened()
    assert opened.archive.damaged == {BAD: "its object has 8,388,608 bytes, and a segment has 16,777,216"}
    assert opened.archive.segments == {1: (3, 4, 6, 7)}
    # AND nothing is asked for that is known
    assert BAD not in look_into(opened, NAMES, seconds=10).read


def test_an_answer_that_ends_early_says_nothing_about_the_object(
    archived: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E1: a connection cut in the middle of the body was taken for a segment of ten bytes, and `latest` was refused."""
    answer = archived.respond

    def cut(asked: Asked) -> tuple[int, bytes]:
        status, body = answer(asked)
        return (status, body[:10]) if asked.path == _media(BAD) else (status, body)

    monkeypatch.setattr(archived, "respond", cut)
    found = _looked()
    assert found.damaged == {}
    assert list(found.unasked) == [BAD]
    assert "10 of 40 bytes" in found.unasked[BAD].cause


@pytest.mark.parametrize(
    ("changes", "told"), [({"magic": 0}, "magic number 0000"), ({"sysid": 7}, "system identifier is 7")]
)
def test_a_segment_that_postgresql_would_not_read_is_damaged(
    archived: ObjectStoreDouble, changes: dict[str, int], told: str
) -> None:
    archived.objects[path_of(SERVER, BAD)] = first_page(BAD, **changes)
    found = _looked()
    assert list(found.damaged) == [BAD]
    assert told in found.damaged[BAD]


def test_a_segment_that_is_gone_since_is_damaged(archived: ObjectStoreDouble) -> None:
    opened = _opened()
    del archived.objects[path_of(SERVER, BAD)]
    assert look_into(opened, NAMES, seconds=10).damaged == {BAD: "its object was deleted after it was listed"}


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (403, "no", "bucket-forbidden"),
        (400, "The Cloud KMS key version is not enabled, current state is: DISABLED", "archive-encrypted"),
        (503, "later", "bucket-unreachable"),
    ],
)
def test_what_could_not_be_asked_for_is_told_apart(
    archived: ObjectStoreDouble, status: int, message: str, code: str
) -> None:
    archived.on(_media(BAD), {"error": {"code": status, "message": message}}, status=status)
    found = _looked()
    assert (found.damaged, BAD in found.read) == ({}, False)
    assert [(name, one.code) for name, one in found.unasked.items()] == [(BAD, code)]
    assert len(found.read) == 4


@pytest.mark.parametrize("suffix", PACK)
def test_compressed_segments_are_read_from_their_beginning(store: ObjectStoreDouble, suffix: str) -> None:
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal([3, 4, 5]), suffix=suffix)
    content = first_page(NAMES[1], sysid=7).ljust(SEGMENT, b"\0")
    store.objects[path_of(SERVER, NAMES[1], suffix)] = PACK[suffix](content)
    store.objects[path_of(SERVER, NAMES[2], suffix)] = b"\xff" * 1000
    found = look_into(_opened(), NAMES[:3], seconds=20)
    assert found.read == {NAMES[0]: SYSTEM, NAMES[1]: "7", NAMES[2]: ""}
    assert "another database" in found.damaged[NAMES[1]]
    assert NAMES[2] in found.damaged


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_segment_without_its_end_is_damaged(store: ObjectStoreDouble, suffix: str) -> None:
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal([3]), suffix=suffix)
    path = path_of(SERVER, NAMES[0], suffix)
    store.objects[path] = store.objects[path][:-100]
    assert "its end is missing" in look_into(_opened(), NAMES[:1], seconds=10).damaged[NAMES[0]]


def test_a_codec_that_is_missing_here_says_nothing_of_the_segment(
    store: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal([3]), suffix=".zst")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    found = look_into(_opened(), NAMES[:1], seconds=10)
    assert (found.damaged, found.unasked[NAMES[0]].code) == ({}, "wal-codec-missing")


def test_what_there_was_no_time_for_is_neither_good_nor_bad(
    archived: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = archived.respond

    def slowly(asked: Asked) -> tuple[int, bytes]:
        if "wals" in asked.path and asked.path.startswith("/download") and NAMES[0] not in asked.path:
            time.sleep(1)
        return answer(asked)

    opened = _opened()
    monkeypatch.setattr(archived, "respond", slowly)
    found = look_into(opened, NAMES, seconds=0.5)
    assert (set(found.read), found.damaged, found.unasked) == ({NAMES[0]}, {}, {})
