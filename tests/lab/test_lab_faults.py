"""An object store that fails on purpose fails as the real one would, where it is told to, and is back afterwards."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from google.api_core.exceptions import NotFound, ServiceUnavailable
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from dr.cnpg.in_pod import sitecustomize
from lab.platform.gcs import binary
from lab.store_faults import Asked, FaultyStore, StoreFault, faulty
from tests.support.waiting import HANG_SECONDS, wait_for

ANYWHERE = ("127.0.0.1", 0)
WALS = "prod/postgres-prod/wals/0000000100000000"
SIZE = 1 << 20


def segment(number: int) -> str:
    return f"0000000100000000{number:08X}"


def content(number: int) -> bytes:
    """As its first page describes it, and no two alike."""
    return bytes(32) + SIZE.to_bytes(4, sys.byteorder) + bytes([number]) * (SIZE - 36)


class Store:
    """A GCS server of its own, and what is asked of it through a proxy."""

    def __init__(self, port: int, proxy: int) -> None:
        self.address, self.proxy = ("127.0.0.1", port), ("127.0.0.1", proxy)
        self.url = f"http://127.0.0.1:{proxy}"

    @contextmanager
    def failing(self, fault: StoreFault) -> Iterator[FaultyStore]:
        with faulty(self.proxy, self.address, state := FaultyStore(fault)):
            yield state

    def bucket(self) -> storage.Bucket:
        anyone = AnonymousCredentials()  # type: ignore[no-untyped-call]
        client = storage.Client(project="any", credentials=anyone, client_options={"api_endpoint": self.url})
        return client.bucket("backups")

    def put(self, name: str, body: bytes) -> None:
        where = f"http://127.0.0.1:{self.address[1]}/upload/storage/v1/b/backups/o"
        options = {"uploadType": "media", "name": name}
        assert httpx.post(where, params=options, content=body, trust_env=False).is_success


def _made(buckets: str) -> bool:
    """Whether the bucket could be made: the server answers."""
    try:
        return httpx.post(buckets, params={"project": "any"}, json={"name": "backups"}, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(ANYWHERE)
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    found = Store(_free_port(), _free_port())
    folder, port = tmp_path_factory.mktemp("buckets"), str(found.address[1])
    words = [binary(), "-scheme", "http", "-host", "127.0.0.1", "-port", port, "-backend", "filesystem"]
    words += ["-filesystem-root", folder, "-external-url", found.url, "-log-level", "error"]
    with subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            buckets = f"http://127.0.0.1:{port}/storage/v1/b"
            wait_for(lambda: _made(buckets))
            for number in (1, 2, 3):
                found.put(f"{WALS}/{segment(number)}", content(number))
            yield found
        finally:
            server.kill()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_everything_is_answered_with_503(store: Store, method: str) -> None:
    with store.failing(StoreFault()):
        sent = b"x" * 100_000 if method in {"POST", "PUT", "PATCH"} else None
        answer = httpx.request(method, f"{store.url}/storage/v1/b", content=sent, timeout=HANG_SECONDS, trust_env=False)
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE


def test_googles_own_client_understands_it(store: Store) -> None:
    with store.failing(StoreFault()), pytest.raises(ServiceUnavailable, match="currently unavailable"):
        store.bucket().client.get_bucket("backups", retry=None)


def test_nothing_listens_afterwards(store: Store) -> None:
    with store.failing(StoreFault()):
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{store.url}/", trust_env=False)


def test_what_has_no_fault_passes_whatever_its_size(store: Store) -> None:
    body = os.urandom(3 << 20)
    with store.failing(StoreFault(on="another")):
        store.bucket().blob("prod/data.tar").upload_from_string(body)
        store.bucket().blob("prod/pieces").open("wb", chunk_size=1 << 18, ignore_flush=True).close()
        assert store.bucket().blob("prod/data.tar").download_as_bytes() == body
        assert store.bucket().get_blob("prod/data.tar").size == len(body)
        store.bucket().blob("prod/data.tar").delete()
        assert store.bucket().get_blob("prod/data.tar") is None


def test_one_object_fails_and_the_others_do_not(store: Store) -> None:
    with store.failing(StoreFault(on=f"{segment(2)}$")) as state:
        assert store.bucket().blob(f"{WALS}/{segment(1)}").download_as_bytes() == content(1)
        with pytest.raises(ServiceUnavailable):
            store.bucket().blob(f"{WALS}/{segment(2)}").download_as_bytes(retry=None)
    assert state.met == [f"{WALS}/{segment(2)}"]


def test_an_object_that_is_not_there_is_in_no_listing(store: Store) -> None:
    with store.failing(StoreFault(answer="404", on=f"{segment(2)}$")):
        with pytest.raises(NotFound):
            store.bucket().blob(f"{WALS}/{segment(2)}").download_as_bytes(retry=None)
        assert store.bucket().get_blob(f"{WALS}/{segment(2)}") is None
        listed = {Path(blob.name).name for blob in store.bucket().list_blobs(prefix=WALS)}
    assert (segment(1) in listed, segment(2) in listed, segment(3) in listed) == (True, False, True)


def test_a_body_that_is_cut_ends_the_connection(store: Store) -> None:
    path = f"{store.url}/download/storage/v1/b/backups/o/{WALS.replace('/', '%2F')}%2F{segment(1)}?alt=media"
    with store.failing(StoreFault(answer="cut", on=segment(1), times=1)):
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            httpx.get(path, trust_env=False)
        assert httpx.get(path, trust_env=False).content == content(1)


def test_a_slow_answer_is_the_right_one(store: Store) -> None:
    with store.failing(StoreFault(answer="slow", slow_by=0.3, on=segment(1))) as state:
        assert store.bucket().blob(f"{WALS}/{segment(1)}").download_as_bytes() == content(1)
    assert state.met


@pytest.mark.parametrize(
    ("method", "target", "name", "listing"),
    [
        ("GET", "/storage/v1/b/backups/o?prefix=prod%2Fwals%2F&delimiter=%2F", "prod/wals/", True),
        ("GET", "/storage/v1/b/backups/o", "", True),
        ("GET", "/download/storage/v1/b/backups/o/prod%2Fwals%2F01?alt=media", "prod/wals/01", False),
        ("DELETE", "/storage/v1/b/backups/o/prod%2F01", "prod/01", False),
        ("POST", "/upload/storage/v1/b/backups/o?uploadType=media&name=prod%2F01", "prod/01", False),
        ("GET", "/storage/v1/b/backups", "", False),
    ],
)
def test_a_request_is_told_by_what_it_is_about(method: str, target: str, name: str, listing: bool) -> None:
    assert Asked.of(method, target) == Asked(name, listing=listing)


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _names(state: FaultyStore, *names: str) -> list[bool]:
    return [state.meets(Asked(name, listing=False)) for name in names]


def test_each_third_request_for_such_an_object_fails_and_so_often() -> None:
    state = FaultyStore(StoreFault(on="wals/", every=3, times=2))
    assert _names(state, "wals/1", "base/1", "wals/2", "wals/3", "wals/3", "wals/3", "wals/4") == [
        *[False] * 3,
        True,
        *[False] * 2,
        True,
    ]
    assert state.over
    assert _names(state, *["wals/5"] * 3) == [False] * 3


def test_it_begins_when_an_object_is_first_asked_for_and_lasts_so_long() -> None:
    clock = _Clock()
    state = FaultyStore(StoreFault(after="07$", seconds=20), clock)
    assert _names(state, "01", "02") == [False, False]
    clock.now += 1000
    assert (state.begun, state.over) == (False, False)
    assert _names(state, "07", "08", "01") == [True, True, True]
    clock.now += 20
    assert (_names(state, "07"), state.over) == ([False], True)


@pytest.mark.parametrize("wrong", [{"answer": "418"}, {"every": 0}])
def test_a_fault_that_could_never_be_met_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        StoreFault(**wrong)  # type: ignore[arg-type]


def _restore(store: Store, number: int, folder: Path, *, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """barman's own program, as PostgreSQL starts it in a recovery's pod, with ours in front of it."""
    program = Path(sys.executable).with_name("barman-cloud-wal-restore")
    words = [sys.executable, str(program), "--cloud-provider", "google-cloud-storage", "gs://backups/prod"]
    variables = {
        "PYTHONPATH": str(Path(sitecustomize.__file__).parent),
        "POSTGRES_DR_WAIT_SECONDS": str(seconds),
        "STORAGE_EMULATOR_HOST": store.url,
        "GOOGLE_CLOUD_PROJECT": "any",
    }
    return subprocess.run(
        [*words, "postgres-prod", segment(number), str(folder / "wanted")],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "fault",
    [StoreFault(times=3), StoreFault(answer="cut", on="0003", times=2), StoreFault(answer="slow", slow_by=1)],
    ids=lambda fault: fault.answer,
)
def test_barman_has_patience_with_a_store_that_fails_a_few_times(
    store: Store, tmp_path: Path, fault: StoreFault
) -> None:
    """E1: Google's own client tries again, for 120 s."""
    with store.failing(fault) as state:
        ended = _restore(store, 3, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "wanted").read_bytes() == content(3)
    assert state.met


def test_a_segment_that_the_bucket_does_not_have_is_the_end(store: Store, tmp_path: Path) -> None:
    """E1: barman's own answer to an empty listing passes on; so does that of a store that lies."""
    with store.failing(StoreFault(answer="404", on=segment(3))):
        assert [_restore(store, number, tmp_path).returncode for number in (9, 3)] == [1, 1]


@pytest.mark.parametrize("damage", [gzip.compress(os.urandom(SIZE))[: SIZE // 2], b"no gzip"], ids=["cut", "none"])
def test_a_segment_that_cannot_be_read_stops_postgresql(store: Store, tmp_path: Path, damage: bytes) -> None:
    """E1: barman ends with 4, which PostgreSQL takes for the end of the archive."""
    store.put(f"{WALS}/{segment(5)}.gz", damage)
    with store.failing(StoreFault(times=0)):
        ended = _restore(store, 5, tmp_path, seconds=1)
    assert ended.returncode == 255
    assert "could not be fetched within 1 s (barman-cloud-wal-restore ended with 4)" in ended.stderr


def test_a_segment_that_is_short_stops_postgresql_until_it_is_whole(store: Store, tmp_path: Path) -> None:
    """E1: barman ends with 0."""
    store.put(f"{WALS}/{segment(6)}", content(6)[: SIZE // 2])
    with store.failing(StoreFault(times=0)):
        ended = _restore(store, 6, tmp_path, seconds=1)
        assert ended.returncode == 255
        assert "its length is not that of a segment" in ended.stderr
        store.put(f"{WALS}/{segment(6)}", content(6))
        assert _restore(store, 6, tmp_path).returncode == 0
