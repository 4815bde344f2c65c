"""The program in a recovery's pod: what it hands over, what it leaves to barman, and that it stands in nobody's way."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dr.cnpg.in_pod import sitecustomize
from dr.cnpg.in_pod.sitecustomize import restore

SEGMENT = "000000010000000000000007"
SIZE = 1 << 16
BARMAN = "/usr/local/bin/barman-cloud-wal-restore"
ASKED = [BARMAN, "gs://b/prod", "postgres-prod", SEGMENT, "pg_wal/RECOVERYXLOG"]


def _whole(size: int = SIZE) -> bytes:
    """A segment as its first page describes it (``XLogLongPageHeaderData``)."""
    return bytes(32) + SIZE.to_bytes(4, sys.byteorder) + bytes(size - 36)


def _command(destination: Path, *, program: str = BARMAN, segment: str = SEGMENT) -> bytes:
    words = ("/usr/bin/python3", program, "--cloud-provider", "google-cloud-storage", "gs://b/prod", "postgres-prod")
    return b"".join(os.fsencode(word) + b"\0" for word in (*words, segment, str(destination)))


@pytest.fixture
def ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with what was fetched ahead, in a process that becomes barman's child when it forks."""
    from barman.cloud import CloudWalDownloader

    folder = tmp_path / "ahead"
    folder.mkdir()
    monkeypatch.setenv("POSTGRES_DR_WAIT_SECONDS", "300")
    monkeypatch.setenv("POSTGRES_DR_FETCHED_AHEAD", str(folder))
    monkeypatch.setenv("POSTGRES_DR_SEGMENTS_AHEAD", "16")
    monkeypatch.setattr(sys, "argv", list(ASKED))
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(CloudWalDownloader, "download_wal", CloudWalDownloader.download_wal)
    return folder


def test_a_segment_that_lies_ready_is_moved(ahead: Path, tmp_path: Path) -> None:
    (ahead / SEGMENT).write_bytes(_whole())
    assert restore(_command(tmp_path / "wanted")) == 0
    assert (tmp_path / "wanted").read_bytes() == _whole()
    assert list(ahead.iterdir()) == []


def test_of_a_segment_that_does_not_barman_fetches_the_next_ones_too(ahead: Path, tmp_path: Path) -> None:
    assert restore(_command(tmp_path / "wanted")) is None
    assert sys.argv == [BARMAN, "--parallel=16", f"--spool-dir={ahead}", *ASKED[1:]]
    assert not (tmp_path / "wanted").exists()


def test_the_options_are_barmans_own(ahead: Path) -> None:
    # GIVEN what barman is told
    restore(_command(Path("pg_wal/RECOVERYXLOG")))
    # WHEN barman reads it
    from barman.clients.cloud_walrestore import parse_arguments

    read = parse_arguments(sys.argv[1:])
    # THEN it understands it as it was meant
    assert (read.parallel, read.spool_dir, read.wal_name) == (16, str(ahead), SEGMENT)


@pytest.mark.parametrize("missing", ["POSTGRES_DR_FETCHED_AHEAD", "POSTGRES_DR_SEGMENTS_AHEAD"])
def test_without_room_for_it_nothing_is_fetched_ahead(
    ahead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    assert restore(_command(tmp_path / "wanted")) is None
    assert sys.argv == ASKED


@pytest.mark.parametrize("length", [0, 20, SIZE - 1, SIZE + 1])
def test_a_download_that_broke_off_is_not_handed_over(ahead: Path, tmp_path: Path, length: int) -> None:
    (ahead / SEGMENT).write_bytes(_whole()[:length] if length <= SIZE else _whole(length))
    assert restore(_command(tmp_path / "wanted")) is None
    assert not (tmp_path / "wanted").exists()
    assert list(ahead.iterdir()) == [], "barman would deliver it"


def test_an_older_barman_fetches_one_at_a_time(ahead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = ModuleType("barman.clients.cloud_walrestore")
    older.__dict__["CloudWalDownloader"] = type("CloudWalDownloader", (), {"download_wal": None})
    monkeypatch.setitem(sys.modules, "barman.clients.cloud_walrestore", older)
    assert restore(_command(tmp_path / "wanted")) is None
    assert sys.argv == ASKED


def test_another_program_is_none_of_its_business(ahead: Path, tmp_path: Path) -> None:
    (ahead / SEGMENT).write_bytes(_whole())
    assert restore(_command(tmp_path / "wanted", program="/usr/local/bin/barman-cloud-restore")) is None
    assert (sys.argv, len(list(ahead.iterdir()))) == (ASKED, 1)


def test_nothing_slow_is_imported_where_a_segment_lies_ready(tmp_path: Path) -> None:
    """E1: what waits for a store costs nothing where nothing is waited for."""
    (tmp_path / SEGMENT).write_bytes(_whole())
    script = (
        "import os, sys; known = set(sys.modules); from sitecustomize import restore; "
        f"assert restore({_command(tmp_path / 'wanted')!r}) == 0; print(set(sys.modules) - known)"
    )
    variables = {"PYTHONPATH": _folder(), "POSTGRES_DR_FETCHED_AHEAD": str(tmp_path)}
    # Without -S Python imports it before the first line runs.
    ended = subprocess.run([sys.executable, "-S", "-c", script], env=variables, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("{'sitecustomize'}\n", "")


def _folder() -> str:
    return str(Path(sitecustomize.__file__).parent)


def _barman(
    folder: Path, destination: Path, script: str = "", *, segment: str = SEGMENT, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """A program of barman's name, started as in a pod; it says whether it was reached, and runs ``script``."""
    program = folder / "barman-cloud-wal-restore"
    program.write_text(f"import sys\nprint('barman', *sys.argv[1:])\n{script}")
    return subprocess.run(
        [sys.executable, str(program), "gs://b/prod", "postgres-prod", segment, str(destination)],
        env={"PYTHONPATH": _folder(), "POSTGRES_DR_WAIT_SECONDS": "3", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_imports_it_by_itself_and_barman_is_never_reached(tmp_path: Path) -> None:
    ahead = tmp_path / "ahead"
    ahead.mkdir()
    (ahead / SEGMENT).write_bytes(_whole())
    ended = _barman(tmp_path, tmp_path / "wanted", POSTGRES_DR_FETCHED_AHEAD=str(ahead))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (tmp_path / "wanted").read_bytes() == _whole()


@pytest.mark.parametrize(
    "trouble",
    [
        "of a segment's name is what cannot be read as a file",
        "barman has no such exit code",
        "nobody says how long to wait",
    ],
)
def test_whatever_goes_wrong_barman_goes_on(tmp_path: Path, trouble: str) -> None:
    variables = {"POSTGRES_DR_FETCHED_AHEAD": str(tmp_path / "ahead")}
    if trouble.startswith("of a segment"):
        (tmp_path / "ahead" / SEGMENT).mkdir(parents=True)
    elif trouble.startswith("barman"):
        for module in ("barman/clients", "barman"):
            (tmp_path / "old" / module).mkdir(parents=True, exist_ok=True)
            (tmp_path / "old" / module / "__init__.py").touch()
        (tmp_path / "old/barman/clients/cloud_cli.py").touch()
        variables["PYTHONPATH"] = f"{_folder()}:{tmp_path / 'old'}"
    else:
        variables["POSTGRES_DR_WAIT_SECONDS"] = ""
    ended = _barman(tmp_path, tmp_path / "wanted", "sys.exit(4)", **variables)
    assert ended.stdout == f"barman gs://b/prod postgres-prod {SEGMENT} {tmp_path / 'wanted'}\n"
    assert ended.returncode == 4, "as ever"
    assert "barman continues alone" in ended.stderr


# What barman does in each of its runs, by a file with a line for each.
_NEXT = """
import os, pathlib, signal
from barman.cloud import CloudWalDownloader
turns = pathlib.Path(sys.argv[0]).with_name("turns")
turn, *rest = turns.read_text().split()
turns.write_text(" ".join(rest))
class Store:
    path = "prod"
    def list_bucket(self, prefix):
        return []
if turn == "absent":
    CloudWalDownloader(Store(), "postgres-prod").download_wal(sys.argv[-2], sys.argv[-1], False, 0)
elif turn == "module":
    sys.exit("Missing required python module: python-snappy")
elif turn == "killed":
    os.kill(os.getpid(), signal.SIGTERM)
elif turn in {"whole", "cut"}:
    content = bytes(32) + (1 << 16).to_bytes(4, sys.byteorder) + bytes((1 << 16) - 36)
    pathlib.Path(sys.argv[-1]).write_bytes(content[: None if turn == "whole" else 1000])
else:
    sys.exit(int(turn))
"""


def _waited(tmp_path: Path, *turns: str, seconds: float = 60, segment: str = SEGMENT) -> tuple[int, int, list[str]]:
    """The exit code, how many turns were left, and what was said, for a barman that ends in ``turns``."""
    (tmp_path / "turns").write_text(" ".join(turns))
    wait = {"POSTGRES_DR_WAIT_SECONDS": str(seconds)}
    ended = _barman(tmp_path, tmp_path / "wanted", _NEXT, segment=segment, **wait)
    said = [line for line in ended.stderr.splitlines() if line.startswith("postgres-dr: ")]
    return ended.returncode, len((tmp_path / "turns").read_text().split()), said


def test_a_segment_that_is_not_in_the_listing_is_the_end_of_the_archive(tmp_path: Path) -> None:
    """E1: seen, and so PostgreSQL gets to know it at once."""
    assert _waited(tmp_path, "absent", "whole") == (1, 1, [])


@pytest.mark.parametrize("failure", ["2", "3", "4", "1", "module", "cut", "0"])
def test_any_other_failure_is_not_the_end_and_barman_is_asked_again(tmp_path: Path, failure: str) -> None:
    """E1: PostgreSQL takes every code up to 125 for the end. 1 is also that of a missing Python module, and barman ends
    with 0 where the object is shorter than a segment.
    """
    (tmp_path / "wanted").write_bytes(b"")
    code, left, said = _waited(tmp_path, failure, failure, "whole")
    assert (code, left) == (0, 0)
    assert (tmp_path / "wanted").read_bytes() == _whole()
    assert len(said) == 2
    assert all(f"WAL {SEGMENT} could not be fetched (" in line and "trying again" in line for line in said)


def test_a_store_that_fails_for_too_long_stops_postgresql(tmp_path: Path) -> None:
    """E1: by a code above 125 (RestoreArchivedFile), so that CloudNativePG's Job tries again."""
    code, _, said = _waited(tmp_path, *["4"] * 1000, seconds=1)
    assert code == 255
    assert said[-1] == (
        f"postgres-dr: WAL {SEGMENT} could not be fetched within 1 s (barman-cloud-wal-restore ended with 4); "
        "PostgreSQL is stopped"
    )


def test_a_barman_that_was_killed_stops_postgresql_as_ever(tmp_path: Path) -> None:
    assert _waited(tmp_path, "killed", "whole")[:2] == (128 + 15, 1)


def test_a_history_has_no_length_to_be_held_against(tmp_path: Path) -> None:
    assert _waited(tmp_path, "cut", segment="00000002.history") == (0, 0, [])


def test_only_the_first_try_fetches_ahead(tmp_path: Path) -> None:
    """A store that is in trouble is asked for no more than what is needed, and in the way that barman always had."""
    (tmp_path / "turns").write_text("4 whole")
    ahead = {"POSTGRES_DR_FETCHED_AHEAD": str(tmp_path / "ahead"), "POSTGRES_DR_SEGMENTS_AHEAD": "8"}
    ended = _barman(tmp_path, tmp_path / "wanted", _NEXT, **ahead)
    assert ended.returncode == 0
    assert ["--parallel=8" in line for line in ended.stdout.splitlines()] == [True, False]
