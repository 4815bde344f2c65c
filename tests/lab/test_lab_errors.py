"""Each failure says what, why, what to do, and where its log is; the command line makes an exit code of it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli, lock, paths
from lab.errors import LabError, last_lines
from lab.shell import run


def test_text_has_four_parts() -> None:
    error = LabError("building kube", "no space\nleft on device", "free some", Path("/logs/kube.log"))
    assert str(error).splitlines() == [
        "failed: building kube",
        "why:    no space",
        "        left on device",
        "remedy: free some",
        "log:    /logs/kube.log",
    ]


def test_failed_program_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        run(["sh", "-c", "echo the cause; exit 3"], what="trying", remedy="none", log=tmp_path / "log")
    assert "sh ended with 3" in caught.value.why
    assert "the cause" in caught.value.why
    assert caught.value.log == tmp_path / "log"


def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="trying") as caught:
        run(["no-such-program"], what="trying", remedy="none", log=tmp_path / "log")
    assert "no-such-program: No such file" in caught.value.why


def test_slow_program_is_ended(tmp_path: Path) -> None:
    with pytest.raises(LabError) as caught:
        run(["sleep", "60"], what="trying", remedy="none", log=tmp_path / "log", timeout=0.1)
    assert "longer than" in caught.value.why


def test_cancelled_program_is_ended(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(LabError) as caught:
        run(["sleep", "60"], what="trying", remedy="none", log=tmp_path / "log", cancelled=cancelled)
    assert "cancelled" in caught.value.why


def test_last_lines_of_nothing(tmp_path: Path) -> None:
    assert "No such file" in last_lines(tmp_path / "missing")
    (tmp_path / "log").write_text("\n".join(map(str, range(100))))
    assert last_lines(tmp_path / "log", 3) == "97\n98\n99"


@pytest.mark.parametrize("command", ["up", "down", "reset", "status"])
def test_without_root_it_says_so_at_once(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DR_LAB_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(cli.main, [command])
    assert result.exit_code == cli.WRONG_MACHINE
    assert "needs root" in result.output
    assert list(tmp_path.iterdir()) == [], "something was made"


def test_state_path_too_long_for_sockets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DR_LAB_STATE", str(tmp_path / ("x" * 100)))
    with pytest.raises(LabError, match="choosing the state folder") as caught:
        paths.state()
    assert "DR_LAB_STATE" in caught.value.remedy
    result = CliRunner().invoke(cli.main, ["env"])
    assert result.exit_code == cli.FAILED
    assert "too long" in result.output


def test_lock_keeps_the_second_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lock"
    said: list[str] = []
    with lock.held(file, said.append):
        monkeypatch.setattr(lock, "PATIENCE", 0.3)
        with pytest.raises(LabError) as caught, lock.held(file, said.append):
            pytest.fail("held twice")
    assert str(os.getpid()) in caught.value.why
    assert said == [f"waiting for process {os.getpid()}, which is changing the lab"]
    with lock.held(file, said.append, remove=True):
        assert file.exists()
    assert not file.exists()


def test_exec_passes_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DR_LAB_STATE", "/nowhere")
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        os, "execve", lambda _program, words, variables: called.append((*words, variables["KUBECONFIG"]))
    )
    result = CliRunner().invoke(cli.main, ["exec", "--", "sh", "-c", "true", "--help"])
    assert result.exit_code == 0
    assert called == [("sh", "-c", "true", "--help", "/nowhere/kubeconfig")]
    result = CliRunner().invoke(cli.main, ["exec", "no-such-program"])
    assert result.exit_code == cli.FAILED
