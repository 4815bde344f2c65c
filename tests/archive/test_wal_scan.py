"""Reading the WAL for a drop: the script itself over a folder of segments, with a pg_waldump that prints real lines."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from dr.archive.wal_lines import Piece
from dr.archive.wal_scan import Scan, head, packed, scan_sent, scan_wal, segments_at_once
from dr.core.errors import AccessError
from dr.kube.api import KubernetesApi
from dr.kube.pod_exec import Ran
from tests.support.doubles import RanInPod, in_pods, said
from tests.support.pages import CHANGES, COMMIT_1029, COMMITS

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
            f"*Transaction*) cat {here}/transactions; ls -l > {here}/folder; exit 1;;\n"
            f"*) cat {here}/changes; exit 1;;\nesac\n"
        )
        program.chmod(0o755)
        variables = {
            "PGDATA": str(here),
            "PATH": f"{here}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(here / "tmp"),
        }
        given = ran.standard_input or b""
        ended = subprocess.run(ran.command, env=variables, input=given, capture_output=True, check=False)
        return said(ended.stdout.decode(), code=ended.returncode, errors=ended.stderr.decode())

    @property
    def asked(self) -> list[str]:
        return (self._folder / "asked").read_text().splitlines()

    @property
    def folder(self) -> list[tuple[str, int]]:
        """The files that pg_waldump read in, with their sizes."""
        lines = [line.split() for line in (self._folder / "folder").read_text().splitlines()[1:]]
        return [(words[-1], int(words[4])) for words in lines]

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


PIECE = Piece(
    segments=(SEGMENT.format(8), SEGMENT.format(9)),
    after="00000002000000000000000A",
    after_as=SEGMENT.format("A"),
    end=0x0A000000,
)


def _scan_sent(api: KubernetesApi, *xids: int, end: int = PIECE.end, cut: int = 0) -> Scan:
    sent = [packed(name, name.encode() * 40_000) for name in PIECE.segments]
    sent.append(packed(PIECE.after_as, head(b"x" * 2**21)))
    if cut:
        sent = [b"".join(sent)[:-cut]]
    piece = replace(PIECE, end=end)
    return scan_sent(api, namespace="data", pod="postgres-1", piece=piece, sent=sent, relation=RELATION, xids=xids)


def test_segments_that_are_sent_are_read_and_nothing_of_them_is_left(api: KubernetesApi, server: _Server) -> None:
    scan = _scan_sent(api)
    assert [size for _, size in server.folder] == [960_000, 960_000, 2**20]
    assert [name for name, _ in server.folder] == [*PIECE.segments, PIECE.after_as]
    assert f"-R {RELATION} -p . {SEGMENT.format(8)} {SEGMENT.format('A')}" in server.asked
    assert (scan.wal.first_segment, scan.wal.total, len(scan.wal.changes)) == (SEGMENT.format(8), len(COMMITS), 9)
    assert list(server.temporary.iterdir()) == []


def test_what_begins_in_the_following_segment_is_left_to_it(api: KubernetesApi, server: _Server) -> None:
    # GIVEN an end between the commits, as pg_waldump prints 0/092DF000 and barman 0/92DF000
    scan = _scan_sent(api, end=0x92DF000)
    assert [commit.xid for commit in scan.wal.commits] == [1028, 1029, 1034]
    assert scan.wal.total == 3
    assert max(change.lsn for change in scan.wal.changes) < 0x92DF000
    assert _scan_sent(api, end=0x1_0000_0000).wal.total == len(COMMITS)


def test_what_is_cut_off_on_the_way_is_an_error_and_nothing_of_it_is_left(api: KubernetesApi, server: _Server) -> None:
    for cut in (4, 900):
        with pytest.raises(AccessError) as raised:
            _scan_sent(api, cut=cut)
        assert raised.value.code == "wal-unreadable"
    assert list(server.temporary.iterdir()) == []


def test_what_a_killed_container_has_left_is_taken_away(api: KubernetesApi, server: _Server) -> None:
    old, new = (server.temporary / f"postgres-dr-wal.{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    _scan_sent(api)
    assert list(server.temporary.iterdir()) == [new]


def test_two_scans_are_one(api: KubernetesApi, server: _Server) -> None:
    # GIVEN the first two commits read after the others
    whole = _scan(api)
    server.transactions = server.transactions[:2]
    older = _scan(api)
    server.transactions = [line + INVALIDATIONS for line in COMMITS[2:]]
    # WHEN
    joined = _scan(api).after(older)
    # THEN
    assert joined.wal.commits == whole.wal.commits
    assert (joined.wal.total, joined.wal.last) == (whole.wal.total, whole.wal.last)
    assert joined.before[2] == whole.wal.commits[1]


def test_the_limit_of_a_pods_scratch_space_is_heeded() -> None:
    size = 16 * 2**20
    assert segments_at_once({}, size) == 4
    assert segments_at_once({"ephemeralVolumesSizeLimit": {"shm": "64Mi"}}, size) == 4
    assert segments_at_once({"ephemeralVolumesSizeLimit": {"temporaryData": "128Mi"}}, size) == 2
    assert segments_at_once({"ephemeralVolumesSizeLimit": {"temporaryData": "32Mi"}}, size) == 0
