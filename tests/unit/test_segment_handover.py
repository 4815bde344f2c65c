"""The program in a recovery's pod: what it hands over, what it leaves to barman, and that it stands in nobody's way."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dr.clients.in_pod import sitecustomize
from dr.clients.in_pod.sitecustomize import hand_over

SEGMENT = "000000010000000000000007"
SIZE = 1 << 16
BARMAN = "/usr/local/bin/barman-cloud-wal-restore"


def _whole(size: int = SIZE) -> bytes:
    """A segment as its first page describes it (``XLogLongPageHeaderData``)."""
    return bytes(32) + SIZE.to_bytes(4, sys.byteorder) + bytes(size - 36)


def _command(destination: Path, *, program: str = BARMAN, segment: str = SEGMENT) -> bytes:
    words = ("/usr/bin/python3", program, "--cloud-provider", "google-cloud-storage", "gs://b/prod", "postgres-prod")
    return b"".join(os.fsencode(word) + b"\0" for word in (*words, segment, str(destination)))


@pytest.fixture
def ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with what was fetched ahead."""
    folder = tmp_path / "ahead"
    folder.mkdir()
    monkeypatch.setenv("POSTGRES_DR_FETCHED_AHEAD", str(folder))
    monkeypatch.setattr(sys, "argv", [BARMAN, "gs://b/prod", "postgres-prod", SEGMENT, "pg_wal/RECOVERYXLOG"])
    return folder


def test_a_segment_that_lies_ready_is_moved(ahead: Path, tmp_path: Path) -> None:
    (ahead / SEGMENT).write_bytes(_whole())
    assert hand_over(_command(tmp_path / "wanted"))
    assert (tmp_path / "wanted").read_bytes() == _whole()
    assert list(ahead.iterdir()) == []


def test_of_a_segment_that_does_not_barman_fetches_the_next_ones_too(ahead: Path, tmp_path: Path) -> None:
    assert not hand_over(_command(tmp_path / "wanted"))
    assert sys.argv == [
        BARMAN,
        "--parallel=16",
        f"--spool-dir={ahead}",
        "gs://b/prod",
        "postgres-prod",
        SEGMENT,
        "pg_wal/RECOVERYXLOG",
    ]
    assert not (tmp_path / "wanted").exists()


def test_the_options_are_barmans_own(ahead: Path) -> None:
    # GIVEN what barman is told
    hand_over(_command(Path("pg_wal/RECOVERYXLOG")))
    # WHEN barman reads it
    from barman.clients.cloud_walrestore import parse_arguments

    read = parse_arguments(sys.argv[1:])
    # THEN it understands it as it was meant
    assert (read.parallel, read.spool_dir, read.wal_name) == (16, str(ahead), SEGMENT)


@pytest.mark.parametrize("length", [0, 20, SIZE - 1, SIZE + 1])
def test_a_download_that_broke_off_is_not_handed_over(ahead: Path, tmp_path: Path, length: int) -> None:
    (ahead / SEGMENT).write_bytes(_whole()[:length] if length <= SIZE else _whole(length))
    assert not hand_over(_command(tmp_path / "wanted"))
    assert not (tmp_path / "wanted").exists()
    assert list(ahead.iterdir()) == [], "barman would deliver it"


def test_an_older_barman_is_left_alone(ahead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = ModuleType("barman.cloud")
    older.__dict__["CloudWalDownloader"] = type("CloudWalDownloader", (), {})
    monkeypatch.setitem(sys.modules, "barman.cloud", older)
    before = list(sys.argv)
    assert not hand_over(_command(tmp_path / "wanted"))
    assert sys.argv == before


def test_another_program_is_none_of_its_business(ahead: Path, tmp_path: Path) -> None:
    (ahead / SEGMENT).write_bytes(_whole())
    before = list(sys.argv)
    assert not hand_over(_command(tmp_path / "wanted", program="/usr/local/bin/barman-cloud-restore"))
    assert (sys.argv, len(list(ahead.iterdir()))) == (before, 1)


def test_without_a_folder_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_DR_FETCHED_AHEAD", raising=False)
    assert not hand_over(_command(tmp_path / "wanted"))


def _barman(folder: Path, destination: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """A program of barman's name, started as in a pod; it says whether it was reached."""
    program = folder / "barman-cloud-wal-restore"
    program.write_text("import sys\nprint('barman', *sys.argv[1:])\n")
    return subprocess.run(
        [sys.executable, str(program), "gs://b/prod", "postgres-prod", SEGMENT, str(destination)],
        env={"PYTHONPATH": str(Path(sitecustomize.__file__).parent), **variables},
        capture_output=True,
        text=True,
        check=True,
    )


def test_python_imports_it_by_itself_and_barman_is_never_reached(tmp_path: Path) -> None:
    ahead = tmp_path / "ahead"
    ahead.mkdir()
    (ahead / SEGMENT).write_bytes(_whole())
    ended = _barman(tmp_path, tmp_path / "wanted", POSTGRES_DR_FETCHED_AHEAD=str(ahead))
    assert (ended.stdout, ended.stderr) == ("", "")
    assert (tmp_path / "wanted").read_bytes() == _whole()


def test_whatever_goes_wrong_barman_goes_on(tmp_path: Path) -> None:
    # GIVEN something of a segment's name that cannot be read as a file
    (tmp_path / "ahead" / SEGMENT).mkdir(parents=True)
    ended = _barman(tmp_path, tmp_path / "wanted", POSTGRES_DR_FETCHED_AHEAD=str(tmp_path / "ahead"))
    assert ended.stdout.startswith("barman gs://b/prod postgres-prod")
    assert "nothing is fetched ahead" in ended.stderr
