"""All that lies below the backup path: what is read of it through barman, and each way of failing."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import lz4.frame
import pytest
import snappy
import zstandard

from dr.archive.contents import Archive
from dr.archive.reader import find_archive, open_archive, read_archives, read_catalogue, stored_bytes
from dr.config.backup_location import BackupLocation
from dr.core.errors import AccessError
from tests.support.archives import at, backup, put_backup, put_history, put_wal, switch, wal
from tests.support.builders import BUCKET
from tests.support.doubles import ObjectStoreDouble, closed_port

PLACE = BackupLocation(bucket=BUCKET, path="prod")
LISTING = f"/storage/v1/b/{BUCKET}/o"
SERVER = "postgres-prod"
WALS = f"prod/{SERVER}/wals/0000000100000000"

pytestmark = pytest.mark.usefixtures("own_home")


def _read() -> Archive:
    (found,) = read_archives(PLACE, SERVER)
    return found


def _failure(server_name: str | None = None) -> AccessError:
    with pytest.raises(AccessError) as refused:
        read_archives(PLACE, server_name)
    assert refused.value.remedy
    return refused.value


def test_a_backup_is_read_with_all_its_facts(store: ObjectStoreDouble) -> None:
    made = backup(3, segments=2)
    put_backup(store, SERVER, made)
    assert _read().backups == (made,)


def test_wal_is_read_with_the_times_of_its_objects(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, wal(range(1, 6)))
    assert _read().files == wal(range(1, 6))


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".snappy", ".lz4", ".zst", ".xz"])
def test_compressed_wal_is_known_by_its_name(store: ObjectStoreDouble, suffix: str) -> None:
    put_wal(store, SERVER, wal([1, 2]), suffix=suffix)
    found = _read()
    assert found.segments == {1: (1, 2)}
    assert found.archived(1, 2) == at(20)


def test_every_page_of_a_listing_is_read(store: ObjectStoreDouble) -> None:
    store.page = 7
    put_wal(store, SERVER, wal(range(1, 101)))
    assert _read().segments == {1: tuple(range(1, 101))}


def test_what_is_no_segment_is_none(store: ObjectStoreDouble) -> None:
    # GIVEN a partial one, a backup label, and files that are none of PostgreSQL's
    for name in (
        "000000010000000000000005.partial.gz",
        "000000010000000000000004.00000028.backup",
        "notes.txt",
        "x.gz",
    ):
        store.objects[f"{WALS}/{name}"] = b""
    store.objects[f"{WALS}/000000010000000000000003.gpg"] = b""
    # THEN no segment is there
    assert _read().segments == {}


def test_the_segment_size_is_what_the_newest_backup_says(store: ObjectStoreDouble) -> None:
    put_backup(store, SERVER, backup(3, size=2**26))
    assert _read().segment_size == 2**26


def test_a_backup_that_runs_is_told_apart(store: ObjectStoreDouble) -> None:
    put_backup(store, SERVER, backup(3), status="STARTED", error="None", end_time=None)
    (running,) = _read().incomplete
    assert running.why == "STARTED: it runs still, or was broken off"


@pytest.mark.parametrize("status", ["FAILED", "EMPTY"])
def test_a_backup_that_did_not_complete_is_told_apart_with_why(store: ObjectStoreDouble, status: str) -> None:
    put_backup(store, SERVER, backup(3), status=status, error="the disk is full", end_time=None)
    found = _read()
    (broken,) = found.incomplete
    assert found.backups == ()
    assert (broken.backup_id, broken.why) == ("backup-3", f"{status}: the disk is full")
    assert broken.begin == at(25)


def test_a_failed_backup_that_cloudnativepg_would_take_is_told_as_such(store: ObjectStoreDouble) -> None:
    put_backup(store, SERVER, backup(3), status="FAILED")
    found = _read()
    assert found.backups == ()
    assert "CloudNativePG takes it for complete" in found.incomplete[0].why


def test_a_backup_without_backup_info_is_told_apart(store: ObjectStoreDouble) -> None:
    store.objects[f"prod/{SERVER}/base/20260420T000000/data.tar"] = b"half"
    (broken,) = _read().incomplete
    assert broken.backup_id == "20260420T000000"
    assert "no backup.info" in broken.why


@pytest.mark.parametrize(
    "damage", [{"timeline": "one"}, {"end_time": None}, {"begin_wal": None}, {"end_wal": "x"}, {"begin_xlog": None}]
)
def test_a_damaged_backup_info_does_not_hide_the_others(
    store: ObjectStoreDouble, damage: dict[str, str | None]
) -> None:
    put_backup(store, SERVER, backup(3), **damage)
    put_backup(store, SERVER, backup(7))
    found = _read()
    assert found.backups == (backup(7),)
    assert "cannot be read" in found.incomplete[0].why


def test_backups_come_oldest_first_whatever_their_ids(store: ObjectStoreDouble) -> None:
    for number in (12, 3, 7):
        put_backup(store, SERVER, backup(number))
    assert [one.backup_id for one in _read().backups] == ["backup-3", "backup-7", "backup-12"]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_history_files_are_read(store: ObjectStoreDouble, compressed: bool) -> None:
    switches = (switch(1, 5.5), switch(2, 9.25))
    put_history(store, SERVER, 3, switches, compressed=compressed)
    assert _read().histories == {3: switches}


def test_a_damaged_history_is_told_and_does_not_hide_the_rest(store: ObjectStoreDouble) -> None:
    store.objects[f"prod/{SERVER}/wals/00000002.history"] = b"nonsense\n"
    put_history(store, SERVER, 3, [switch(1, 5.5)])
    put_wal(store, SERVER, wal([1]))
    found = _read()
    assert set(found.histories) == {3}
    assert "00000002.history cannot be read" in found.unreadable[2]
    assert found.segments == {1: (1,)}


def test_every_server_name_is_read_by_itself(store: ObjectStoreDouble) -> None:
    # GIVEN two generations
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal(range(1, 6)))
    put_backup(store, f"{SERVER}-recovered", backup(8, timeline=2))
    put_wal(store, f"{SERVER}-recovered", wal(range(5, 10), timeline=2))
    # AND another environment beside them
    store.objects["dev/postgres-dev/wals/0000000100000000/000000010000000000000001"] = b""
    # WHEN
    first, second = read_archives(PLACE)
    # THEN
    assert (first.server_name, first.timelines, len(first.backups)) == (SERVER, (1,), 1)
    assert (second.server_name, second.timelines, len(second.backups)) == (f"{SERVER}-recovered", (2,), 1)


def test_one_server_name_alone_can_be_asked_for(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, wal([1]))
    put_wal(store, "other", wal([2]))
    assert [found.server_name for found in read_archives(PLACE, "other")] == ["other"]
    assert not any(f"{SERVER}/" in asked.query.get("prefix", "") for asked in store.asked)


def test_the_archive_of_a_recovery_is_found_with_the_names_beside_it(store: ObjectStoreDouble) -> None:
    put_backup(store, SERVER, backup(3))
    put_wal(store, SERVER, wal([3, 4]))
    put_wal(store, "other", wal([2]))
    found, names = find_archive(PLACE, SERVER)
    assert found is not None
    assert (found.backups, found.segments) == ((backup(3),), {1: (3, 4)})
    assert names == {SERVER, "other"}


def test_an_archive_that_is_not_there_is_none_for_a_recovery(store: ObjectStoreDouble) -> None:
    assert find_archive(PLACE, SERVER) == (None, frozenset())


def test_times_are_in_utc(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, {"000000010000000000000001": datetime(2026, 4, 20, 1, 2, 3, 456789, UTC)})
    put_backup(store, SERVER, backup(3), begin_time="2026-04-20 09:25:00+09:00", end_time="2026-04-20 09:30:00+09:00")
    found = _read()
    assert found.archived(1, 1) == datetime(2026, 4, 20, 1, 2, 3, 456789, UTC)
    assert (found.backups[0].end, found.backups[0].end.tzinfo) == (at(30), UTC)


def test_nothing_below_the_path_is_told_as_such(store: ObjectStoreDouble) -> None:
    store.objects["dev/postgres-dev/wals/0000000100000000/000000010000000000000001"] = b""
    refused = _failure()
    assert refused.code == "archive-empty"
    assert PLACE.url in refused.cause


def test_a_server_name_that_is_not_there_is_told_with_those_that_are(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, wal([1]))
    put_wal(store, "other", wal([1]))
    refused = _failure("nobody")
    assert refused.code == "server-name-missing"
    assert f"other, {SERVER}" in refused.remedy


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "bucket-missing"), (403, "bucket-forbidden"), (401, "google-credentials"), (503, "bucket-unreachable")],
)
def test_a_refusal_is_told_by_its_kind_without_trying_again(store: ObjectStoreDouble, status: int, code: str) -> None:
    store.on(LISTING, {"error": {"code": status, "message": "no"}}, status=status)
    assert _failure().code == code
    assert len([asked for asked in store.asked if asked.path == LISTING]) == 1


def test_a_store_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    assert _failure().code == "bucket-unreachable"


def test_a_refusal_of_one_backup_is_a_failure_and_no_incomplete_backup(store: ObjectStoreDouble) -> None:
    put_backup(store, SERVER, backup(3))
    path = f"prod/{SERVER}/base/backup-3/backup.info"
    store.on(f"/download{LISTING}/{path.replace('/', '%2F')}", {"error": {"code": 403, "message": "no"}}, status=403)
    assert _failure().code == "bucket-forbidden"


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.compress),
        (".lz4", lz4.frame.compress),
        (".snappy", lambda content: snappy.StreamCompressor().add_chunk(content)),
    ],
)
def test_the_content_of_wal_is_as_it_was_before_it_was_compressed(
    store: ObjectStoreDouble, suffix: str, pack: Callable[[bytes], bytes]
) -> None:
    content, name = b"wal" * 100_000, "000000010000000000000001"
    put_wal(store, SERVER, wal([1]), suffix=suffix)
    store.objects[f"{WALS}/{name}{suffix}"] = pack(content)
    assert open_archive(PLACE, SERVER).content(name) == content


def test_wal_whose_compression_cannot_be_undone_here_is_said(
    store: ObjectStoreDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN what barman does where a codec's module is not there: it ends the process
    put_wal(store, SERVER, wal([1]), suffix=".zst")
    put_history(store, SERVER, 2, [switch(1, 1.5)])
    store.objects[f"prod/{SERVER}/wals/00000002.history.zst"] = store.objects.pop(
        f"prod/{SERVER}/wals/00000002.history"
    )
    monkeypatch.setitem(sys.modules, "zstandard", None)
    # WHEN
    opened = open_archive(PLACE, SERVER)
    with pytest.raises(AccessError) as refused:
        opened.content("000000010000000000000001")
    # THEN the content is refused, and of the timeline it is said that it is not known
    assert refused.value.code == "wal-codec-missing"
    assert "000000010000000000000001.zst" in refused.value.cause
    assert "zstandard" in refused.value.cause
    assert "zstandard" in opened.archive.unreadable[2]


def test_damaged_wal_is_said(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, wal([1]), suffix=".gz")
    store.objects[f"{WALS}/000000010000000000000001.gz"] = b"wal"
    opened = open_archive(PLACE, SERVER)
    with pytest.raises(AccessError) as refused:
        opened.content("000000010000000000000001")
    assert refused.value.code == "wal-unreadable"


def test_wal_in_a_form_that_barman_does_not_know_is_named_and_not_counted(store: ObjectStoreDouble) -> None:
    put_wal(store, SERVER, wal([1, 2]))
    store.objects[f"{WALS}/000000010000000000000003.gpg"] = b"secret"
    store.objects[f"{WALS}/000000010000000000000004.gz.tmp"] = b"other"
    store.objects[f"{WALS}/notes.txt"] = b"no WAL"
    found = _read()
    assert found.segments == {1: (1, 2)}
    assert found.unknown == ("000000010000000000000003.gpg", "000000010000000000000004.gz.tmp")


ROOT = BackupLocation(bucket=BUCKET)


@pytest.fixture
def at_the_root(store: ObjectStoreDouble) -> ObjectStoreDouble:
    """The archive ``main`` in the bucket itself, and a folder of somebody else's beside it."""
    put_backup(store, "main", backup(3))
    put_wal(store, "main", wal(range(1, 6)))
    store.objects = {name.removeprefix("prod/"): content for name, content in store.objects.items()}
    store.sizes = {name.removeprefix("prod/"): size for name, size in store.sizes.items()}
    store.objects[".pulumi/stacks/prod.json"] = b"{}"
    return store


def test_an_archive_may_lie_in_the_bucket_itself(at_the_root: ObjectStoreDouble) -> None:
    """C5."""
    (found,) = read_archives(ROOT)
    assert (found.server_name, found.backups, found.segments) == ("main", (backup(3),), {1: (1, 2, 3, 4, 5)})
    assert stored_bytes(ROOT, "main", "backup-3") > 0
    assert read_catalogue(ROOT, "main").backups == (backup(3),)


def test_a_bucket_with_folders_of_others_alone_has_no_archive(store: ObjectStoreDouble) -> None:
    """C5."""
    store.objects[".pulumi/stacks/prod.json"] = b"{}"
    with pytest.raises(AccessError, match=f"nothing below gs://{BUCKET}:") as refused:
        read_archives(ROOT)
    assert refused.value.code == "archive-empty"
