"""Reading the WAL for a drop: the script itself over a folder of segments, with a pg_waldump that prints real lines."""

import os
import subprocess
from pathlib import Path

import pytest

from dr.clients.kubernetes import KubernetesApi
from dr.clients.pod_exec import Ran
from dr.clients.wal_scan import Scan, scan_wal
from dr.model.errors import AccessError
from tests.doubles import RanInPod, in_pods, said
from tests.unit.pages import CHANGES, COMMIT_1029, COMMITS

SEGMENT = "00000001000000000000000{}"
RELATION = "1663/16385/1259"
INVALIDATIONS = "; dropped stats: 2/16385/17489; inval msgs: catcache 32 catcache 7"


class _Server:
    """A pg_wal of three segments, and a pg_waldump that prints changes for a relation, else transactions."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        (folder / "pg_wal").mkdir()
        (folder / "tmp").mkdir()
        for name in (SEGMENT.format(8), SEGMENT.format(9), SEGMENT.format("A"), "000000020000000000000009", "junk"):
            (folder / "pg_wal" / name).touch()
        self.help = "  -R, --relation=T/D/R"
        self.changes = CHANGES
        self.transactions = [line + INVALIDATIONS for line in COMMITS]
        in_pods(monkeypatch, self._run)

    def _run(self, ran: RanInPod) -> Ran:
        here = self._folder
        (here / "changes").write_text(self.changes)
        (here / "transactions").write_text("".join(f"{line}\n" for line in self.transactions))
        program = here / "pg_waldump"
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {here}/asked\ncase "$*" in\n--help) echo "{self.help}";;\n'
            f"*Transaction*) cat {here}/transactions; exit 1;;\n*) cat {here}/changes; exit 1;;\nesac\n"
        )
        program.chmod(0o755)
        variables = {
            "PGDATA": str(here),
            "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(here / "tmp"),
        }
        ended = subprocess.run(ran.command, env=variables, capture_output=True, text=True, check=False)
        return said(ended.stdout, code=ended.returncode, errors=ended.stderr)

    @property
    def asked(self) -> list[str]:
        return (self._folder / "asked").read_text().splitlines()

    @property
    def temporary(self) -> Path:
        """Where temporary files go."""
        return self._folder / "tmp"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Server:
    return _Server(tmp_path, monkeypatch)


def _scan(api: KubernetesApi, *xids: int, segment: str = SEGMENT.format("A")) -> Scan:
    return scan_wal(api, namespace="data", pod="postgres-1", segment=segment, relation=RELATION, xids=xids)


def test_changes_and_the_commits_that_have_to_do_with_them(api: KubernetesApi, server: _Server) -> None:
    # GIVEN a commit that has nothing to do with any change, before and after the others
    unrelated = COMMITS[0].replace("1028", "500")
    server.transactions = [unrelated, *server.transactions, unrelated.replace("500", "2000")]
    # WHEN
    scan = _scan(api)
    # THEN
    assert len(scan.wal.changes) == 9
    assert [(commit.xid, commit.number) for commit in scan.wal.commits] == [
        (1028, 2),
        (1029, 3),
        (1034, 4),
        (1037, 5),
        (1039, 6),
        (1040, 7),
        (1041, 8),
    ]
    assert scan.wal.total == 9
    assert scan.wal.last is not None
    commit = scan.wal.commit_of(1032)
    assert commit is not None
    assert (commit.xid, scan.before[commit.number - 1].xid) == (1029, 1028)
    assert scan.before[1].xid == 500


def test_the_commit_of_a_subtransaction_that_a_page_names_is_found_without_any_change(
    api: KubernetesApi, server: _Server
) -> None:
    server.changes = ""
    head, _, rest = COMMIT_1029.partition("; rels: ")
    without_files = f"{head}; {rest.partition('; ')[2]}"
    server.transactions = [COMMITS[0], without_files]
    assert [commit.xid for commit in _scan(api, 1032).wal.commits] == [1029]
    assert _scan(api, 103).wal.commits == ()


def test_all_of_the_present_timeline_is_read_and_nothing_of_another(api: KubernetesApi, server: _Server) -> None:
    scan = _scan(api)
    assert f"-R {RELATION} -p . {SEGMENT.format(8)} {SEGMENT.format('A')}" in server.asked
    assert f"-r Transaction -p . {SEGMENT.format(8)} {SEGMENT.format('A')}" in server.asked
    assert scan.wal.first_segment == SEGMENT.format(8)
    _scan(api, segment="000000020000000000000009")
    assert "-r Transaction -p . 000000020000000000000009 000000020000000000000009" in server.asked


def test_a_pg_waldump_that_knows_no_relations_is_asked_for_all_rows(api: KubernetesApi, server: _Server) -> None:
    server.help = "version 14"
    other = "rmgr: Heap len 54/54, tx: 7, lsn: 0/1, prev 0/0, desc: DELETE off 5 , blkref #0: rel 1663/16385/12 blk 1"
    server.changes = f"{CHANGES}{other}\n"
    assert len(_scan(api).wal.changes) == 9
    assert any(words.startswith("-r Heap") for words in server.asked)


def test_nothing_is_left_behind_in_the_pod(api: KubernetesApi, server: _Server) -> None:
    _scan(api)
    assert list(server.temporary.iterdir()) == []


def test_without_any_commit_there_is_none(api: KubernetesApi, server: _Server) -> None:
    server.changes, server.transactions = "", []
    wal = _scan(api).wal
    assert (wal.commits, wal.total, wal.last) == ((), 0, None)


def test_wal_that_cannot_be_read_is_said(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    in_pods(monkeypatch, lambda _: said(code=1, errors="cd: no such folder"))
    with pytest.raises(AccessError, match="no such folder") as raised:
        _scan(api)
    assert raised.value.code == "wal-unreadable"
