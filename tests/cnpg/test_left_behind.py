"""What one Cluster has and another has not: at a double of the pods."""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dr.cnpg.cluster import ClusterSnapshot
from dr.cnpg.left_behind import left_behind
from dr.core.errors import AccessError
from dr.core.target import LaterCommits
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from tests.support.builders import a_recovered, a_source, as_seen
from tests.support.doubles import RanInPod, in_pods, said

SIZE = 16 * 2**20
SOURCE = a_source()
RECOVERED = replace(as_seen(a_recovered()), primary="postgres-prod-recovered-1")
LINEAGES = {
    "postgres-prod-1": f"0/4000200\n1\n{SIZE}\n\n",
    "postgres-prod-recovered-1": f"0/4000200\n1\n{SIZE}\n00000002\n1\t0/4000068\twhy\n",
}
ENDED = "pg_waldump: error: error in WAL record at 0/4000400: invalid record length at 0/4000438: wanted 24, got 0\n"
COUNTED = LaterCommits(count=2, last=datetime(2026, 4, 27, 10, 0, 0, 500_000, UTC), complete=True)


def _pods(
    monkeypatch: pytest.MonkeyPatch,
    counted: str = f"2|2026-04-27 10:00:00.500000|0\n{ENDED}",
    **said_by: Ran | AccessError,
) -> list[RanInPod]:
    def answer(ran: RanInPod) -> Ran | AccessError:
        if len(ran.command) == 4:
            return said_by.get(ran.pod.replace("-", "_")) or said(LINEAGES[ran.pod])
        return said(counted)

    return in_pods(monkeypatch, answer)


def _left(api: KubernetesApi, left: ClusterSnapshot, other: ClusterSnapshot, **more: int) -> LaterCommits | None:
    return left_behind(api, left, other, [SOURCE, RECOVERED], **more)


def test_it_is_counted_in_the_wal_of_the_one_that_is_left(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """E8: whatever the target was, as the two databases say where they part."""
    ran = _pods(monkeypatch)
    assert _left(api, SOURCE, RECOVERED) == COUNTED
    assert ran[-1].pod == "postgres-prod-1"
    assert ran[-1].command[4:] == [str(SIZE), f"{0x4000068:016X}", "", "1", str(0x4000068), ""]


def test_the_way_back_counts_from_the_first_writer_on(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """E8: what the recovery itself has committed belongs to nobody."""
    ran = _pods(monkeypatch)
    assert _left(api, RECOVERED, SOURCE, first=2**32 + 729) == COUNTED
    assert ran[-1].pod == "postgres-prod-recovered-1"
    assert ran[-1].command[4:] == [str(SIZE), f"{0x4000068:016X}", "729", "2", str(0x4000068), ""]


def test_wal_that_is_gone_makes_it_a_lower_bound(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    _pods(monkeypatch, f"0||1\n{ENDED}")
    assert _left(api, SOURCE, RECOVERED) == LaterCommits(count=0, last=None, complete=False)


@pytest.mark.parametrize(
    ("said_last", "complete"),
    [
        (ENDED, True),
        ("pg_waldump: error: error in WAL record at 0/4000200: unexpected pageaddr 0/3000000 in log segment x", True),
        ('pg_waldump: error: could not find file "000000010000000000000005": No such file or directory', True),
        ("pg_waldump: error: could not find a valid record after 0/5000000", True),
        ("pg_waldump: error: error in WAL record at 0/40001C8: incorrect resource manager data checksum", False),
        ('pg_waldump: error: could not find file "000000010000000000000004": No such file or directory', False),
        ("left-behind: line 20: pg_waldump: command not found", False),
        ("", False),
    ],
)
def test_that_nothing_stays_behind_takes_wal_that_was_read_to_its_end(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, said_last: str, complete: bool
) -> None:
    """E8: the last checkpoint is before the end; who came not so far may have missed a commit."""
    _pods(monkeypatch, f"0||0\n{said_last}\n")
    assert _left(api, SOURCE, RECOVERED) == LaterCommits(count=0, last=None, complete=complete)


@pytest.mark.parametrize(
    "fault",
    [
        AccessError("not-found", "there is no pod", "look"),
        said(code=1, errors="no PGDATA"),
        said("nonsense"),
        said(f"0/4000200\n3\n{SIZE}\n00000002\n1\t0/4000068\twhy\n"),
    ],
    ids=["gone", "failed", "nonsense", "a timeline without its history"],
)
def test_what_cannot_be_counted_is_unknown(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, fault: Ran | AccessError
) -> None:
    _pods(monkeypatch, postgres_prod_recovered_1=fault)
    assert _left(api, SOURCE, RECOVERED) is None


def test_no_pod_is_guessed_where_there_is_no_primary(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """`primary or f"{name}-1"`: a standby would have been asked, whose WAL may end sooner."""
    _pods(monkeypatch)
    assert _left(api, replace(SOURCE, primary=None), RECOVERED) is None


def _commit(xid: int, lsn: str, what: str = "COMMIT") -> str:
    """A record as pg_waldump prints it."""
    return (
        f"rmgr: Transaction len (rec/tot):     34/    34, tx:        {xid}, lsn: {lsn}, prev 0/04000000, "
        f"desc: {what} 2026-04-27 10:00:00.500000 UTC"
    )


def _by_the_script(
    monkeypatch: pytest.MonkeyPatch, folder: Path, records: Sequence[str], segments: Sequence[str]
) -> Path:
    """Have the count run here, over these segments and a pg_waldump that prints ``records``; where it keeps what it was
    asked.
    """
    wal, asked = folder / "pg_wal", folder / "asked"
    wal.mkdir()
    for name in segments:
        (wal / name).write_bytes(b"")
    (folder / "records").write_text("".join(f"{record}\n" for record in records))
    program = folder / "pg_waldump"
    program.write_text(f'#!/bin/sh\necho "$*" > {asked}\ncat {folder}/records\necho "{ENDED.strip()}" >&2\nexit 1\n')
    program.chmod(0o755)
    variables = {"PGDATA": str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}

    def answer(ran: RanInPod) -> Ran:
        if len(ran.command) == 4:
            return said(LINEAGES[ran.pod])
        ended = subprocess.run(ran.command, env=variables, capture_output=True, text=True, check=False)
        return said(ended.stdout, code=ended.returncode, errors=ended.stderr)

    in_pods(monkeypatch, answer)
    return asked


@pytest.mark.parametrize("first", [729, 5000, 2**32 + 5000])
def test_transactions_count_from_the_first_one_by_their_ids(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: int
) -> None:
    """E8: found by `make test-ledger`. The year of a commit was taken for its transaction's ID, so that with a first
    ID behind it a rollback left 349 transactions behind and announced none.
    """
    low = first % 2**32
    records = [
        _commit(low - 1, "0/04000100"),
        _commit(low, "0/04000200"),
        _commit(3, "0/04000300", f"COMMIT_PREPARED {low + 1}:"),
        _commit(low + 9, "0/04000400", f"COMMIT_PREPARED {low - 1}:"),
    ]
    _by_the_script(monkeypatch, tmp_path, records, ["000000020000000000000004"])
    assert _left(api, RECOVERED, SOURCE, first=first) == replace(COUNTED, count=2)


def test_the_oldest_segment_that_is_left_is_found_by_its_name(
    api: KubernetesApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """E8: awk takes a name of digits for a number, and has 16 digits of it."""
    segments = [f"0000000200000000000000{end}" for end in ("05", "06", "10")]
    asked = _by_the_script(monkeypatch, tmp_path, [], segments)
    assert _left(api, RECOVERED, SOURCE, first=729) == LaterCommits(count=0, last=None, complete=False)
    assert "-s 0/5000000" in asked.read_text()
