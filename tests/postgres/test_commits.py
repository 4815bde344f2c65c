"""Counting later commits: the questions to a double of psql, and the script itself over a folder of segments."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from dr.postgres.commits import commits_after
from tests.support.builders import NOW, TARGET_TIME
from tests.support.doubles import RanInPod, in_pods, said

SINCE = TARGET_TIME
SEGMENT = "0000000100000000000000{:02X}"
CURRENT = SEGMENT.format(9)


def _count(api: KubernetesApi) -> LaterCommits | None:
    return commits_after(api, namespace="data", pod="postgres-prod-1", since=SINCE)


def _saying(monkeypatch: pytest.MonkeyPatch, counted: Ran | AccessError, segment: str = CURRENT) -> list[RanInPod]:
    return in_pods(monkeypatch, lambda ran: said(f"{segment}\n") if ran.command[0] == "psql" else counted)


def test_the_count_is_asked_of_the_primary_up_to_its_current_segment(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = _saying(monkeypatch, said("3|2026-04-27 10:00:00.250000|2\n"))
    last = datetime(2026, 4, 27, 10, 0, 0, 250_000, UTC)
    assert _count(api) == LaterCommits(count=3, last=last, complete=True)
    assert {one.pod for one in ran} == {"postgres-prod-1"}
    assert ran[-1].command[-2:] == [CURRENT, "2026-04-27 09:55:00.000000"]


def test_a_moment_in_another_zone_is_asked_for_in_utc(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = _saying(monkeypatch, said("0||1\n"))
    tokyo = datetime.fromisoformat("2026-04-27T18:55:00+09:00")
    commits_after(api, namespace="data", pod="postgres-prod-1", since=tokyo)
    assert ran[-1].command[-1] == "2026-04-27 09:55:00.000000"


def test_without_an_older_segment_there_may_be_more(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    _saying(monkeypatch, said("0||0\n"))
    assert _count(api) == LaterCommits(count=0, last=None, complete=False)


@pytest.mark.parametrize(
    "counted",
    [
        AccessError("exec-timeout", "could not count", "look"),
        said("", code=1, errors="bash: PGDATA: unbound"),
        said("many|soon|2\n"),
        said("1|2\n"),
    ],
    ids=["no answer", "failed", "nonsense", "too short"],
)
def test_what_cannot_be_counted_is_unknown_and_no_error(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, counted: Ran | AccessError
) -> None:
    _saying(monkeypatch, counted)
    assert _count(api) is None


def test_a_server_that_does_not_answer_is_unknown_and_no_error(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_pods(monkeypatch, lambda _: said(code=2, errors="psql: the database system is shutting down"))
    assert _count(api) is None


class _Server:
    """A folder of WAL segments, and a pg_waldump that prints ``records`` and writes down what it was asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.current = CURRENT
        (folder / "pg_wal").mkdir()
        self.dumps([])
        in_pods(monkeypatch, self._run)

    def _run(self, ran: RanInPod) -> Ran:
        if ran.command[0] == "psql":
            return said(f"{self.current}\n")
        variables = {"PGDATA": str(self._folder), "PATH": f"{self._folder}{os.pathsep}{os.environ['PATH']}"}
        ended = subprocess.run(ran.command, env=variables, capture_output=True, text=True, check=False)
        return said(ended.stdout, code=ended.returncode, errors=ended.stderr)

    def segment(self, name: str, written: datetime) -> None:
        path = self._folder / "pg_wal" / name
        path.write_bytes(b"")
        os.utime(path, (written.timestamp(), written.timestamp()))

    def dumps(self, records: Sequence[str]) -> None:
        lines = "".join(f"{record}\n" for record in records)
        (self._folder / "records").write_text(lines)
        program = self._folder / "pg_waldump"
        here = self._folder
        program.write_text(f'#!/bin/sh\necho "$*" > {here}/asked\ncat {here}/records\nexit 1\n')
        program.chmod(0o755)

    @property
    def range(self) -> tuple[str, ...]:
        """The first and the last segment that were read."""
        return tuple((self._folder / "asked").read_text().split()[-2:])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Server:
    server = _Server(tmp_path, monkeypatch)
    for number in range(6, 10):
        # Segment 6 ended before the moment, 7 holds it, 9 is being written.
        server.segment(SEGMENT.format(number), SINCE + timedelta(minutes=number - 6) - timedelta(seconds=30))
    return server


def _commit(moment: str, what: str = "COMMIT") -> str:
    """A record as pg_waldump prints it."""
    return (
        "rmgr: Transaction len (rec/tot):     34/    34, tx:        731, lsn: 0/07000028, prev 0/07000000, "
        f"desc: {what} {moment} UTC"
    )


def test_only_what_was_committed_after_the_moment_counts(api: KubernetesApi, server: _Server) -> None:
    server.dumps(
        [
            _commit("2026-04-27 09:54:59.999999"),
            _commit("2026-04-27 09:55:00.000000"),
            _commit("2026-04-27 09:55:00.000001"),
            _commit("2026-04-27 09:57:00.000000", "ABORT"),
            _commit("2026-04-27 09:56:00.000000") + "; rels: base/5/16384",
        ]
    )
    last = datetime(2026, 4, 27, 9, 56, tzinfo=UTC)
    assert _count(api) == LaterCommits(count=2, last=last, complete=True)


def test_reading_begins_with_the_segment_that_holds_the_moment(api: KubernetesApi, server: _Server) -> None:
    _count(api)
    assert server.range == (SEGMENT.format(7), CURRENT)


def test_segments_that_are_kept_for_later_use_are_not_read(api: KubernetesApi, server: _Server) -> None:
    for name in (SEGMENT.format(10), "00000002.history", f"{SEGMENT.format(7)}.00000028.backup"):
        server.segment(name, NOW)
    _count(api)
    assert server.range == (SEGMENT.format(7), CURRENT)


def test_when_nothing_was_written_since_only_the_current_segment_is_read(api: KubernetesApi, server: _Server) -> None:
    for number in range(6, 10):
        server.segment(SEGMENT.format(number), SINCE - timedelta(hours=1))
    found = _count(api)
    assert server.range == (CURRENT, CURRENT)
    assert found == LaterCommits(count=0, last=None, complete=True)


def test_when_the_oldest_segment_is_newer_than_the_moment_there_may_be_more(
    api: KubernetesApi, server: _Server
) -> None:
    server.segment(SEGMENT.format(6), SINCE + timedelta(seconds=1))
    server.dumps([_commit("2026-04-27 09:56:00.000000")])
    found = _count(api)
    assert found is not None
    assert (found.count, found.complete) == (1, False)


def test_a_prepared_transaction_counts_when_it_is_committed(api: KubernetesApi, server: _Server) -> None:
    server.dumps([_commit("2026-04-27 09:56:00.000000", "COMMIT_PREPARED 731:")])
    last = datetime(2026, 4, 27, 9, 56, tzinfo=UTC)
    assert _count(api) == LaterCommits(count=1, last=last, complete=True)


def test_after_a_failover_only_the_new_timeline_is_read_and_there_may_be_more(
    api: KubernetesApi, server: _Server
) -> None:
    # GIVEN a failover in segment 8, since the moment; pg_waldump reads one timeline, the one of its last segment
    server.current = "000000020000000000000009"
    for name in ("000000020000000000000008", server.current):
        server.segment(name, SINCE + timedelta(minutes=5))
    server.dumps([_commit("2026-04-27 10:00:00.000000")])
    # WHEN
    found = _count(api)
    # THEN
    assert server.range == ("000000020000000000000008", server.current)
    assert found is not None
    assert (found.count, found.complete) == (1, False)


def test_segments_are_ordered_by_their_names_and_not_as_numbers(
    api: KubernetesApi, server: _Server, tmp_path: Path
) -> None:
    """E8: awk takes a name of digits for a number, and one with an E in it for a power of ten."""
    for number in range(6, 10):
        (tmp_path / "pg_wal" / SEGMENT.format(number)).unlink()
    server.current = "000000010000000000000105"
    for name in ("0000000100000000000000E5", server.current):
        server.segment(name, SINCE + timedelta(minutes=5))
    found = _count(api)
    assert server.range == ("0000000100000000000000E5", server.current)
    assert found is not None
    assert not found.complete


def test_without_pg_waldump_nothing_is_known(
    api: KubernetesApi, server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken for WAL without a commit."""
    (tmp_path / "pg_waldump").unlink()
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("bash", "find", "grep", "sort", "awk", "head", "wc"):
        (programs / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(programs))
    assert _count(api) is None
