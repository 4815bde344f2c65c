"""Finding a ``pulumi`` that fits, with doubles of the program."""

from importlib.metadata import version
from pathlib import Path

import pytest

from dr.core.errors import EngineError
from dr.engine.command import MINIMUM, find_pulumi
from tests.support.doubles import write_pulumi


@pytest.fixture
def folder(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _refused() -> EngineError:
    with pytest.raises(EngineError) as refused:
        find_pulumi()
    assert "install" in refused.value.remedy
    return refused.value


def test_the_program_on_path_is_found(folder: Path) -> None:
    program = write_pulumi(folder, version="v3.250.0")
    found = find_pulumi()
    assert (found.program, str(found.version)) == (str(program), "3.250.0")


def test_without_one_on_path_the_automation_apis_own_is_found(folder: Path, own_home: Path) -> None:
    program = write_pulumi(own_home / ".pulumi" / "versions" / version("pulumi") / "bin")
    assert find_pulumi().program == str(program)


def test_a_missing_program_is_told(folder: Path) -> None:
    assert _refused().code == "pulumi-missing"


@pytest.mark.parametrize("said", ["v3.199.9", "v2.25.0", "v4.0.0", "v3.200.0-alpha.1"])
def test_a_version_that_does_not_fit_is_told_with_the_one_that_does(folder: Path, said: str) -> None:
    write_pulumi(folder, version=said)
    refused = _refused()
    assert refused.code == "pulumi-wrong-version"
    assert said.removeprefix("v") in refused.cause
    assert str(MINIMUM) in refused.cause


def test_the_oldest_version_that_fits_is_taken(folder: Path) -> None:
    write_pulumi(folder, version=f"v{MINIMUM}")
    assert find_pulumi().version == MINIMUM


@pytest.mark.parametrize("said", ["", "pulumi", "v3", "3.250"])
def test_a_version_that_is_none_is_told(folder: Path, said: str) -> None:
    write_pulumi(folder, version=said)
    assert _refused().code == "pulumi-broken"


@pytest.mark.parametrize(
    "text", ["#!/bin/sh\nexit 3\n", "#!/nowhere/sh\n", "\x7fELF"], ids=["fails", "no sh", "binary"]
)
def test_a_program_that_does_not_run_is_told(folder: Path, text: str) -> None:
    (folder / "pulumi").write_text(text)
    (folder / "pulumi").chmod(0o755)
    assert _refused().code == "pulumi-broken"
