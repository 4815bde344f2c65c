"""The versions of all parts, and what is said where one is missing."""

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

import dr
from dr.main import run
from dr.version import observe
from dr.version.observe import parts
from tests.support.doubles import write_pulumi

pytestmark = pytest.mark.usefixtures("own_home")


def test_every_part_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(write_pulumi(tmp_path / "bin", "", version="v3.201.7").parent))
    found = parts()
    assert found["postgres-dr"] == dr.__version__
    assert found["Pulumi engine"].startswith("3.201.7 (")
    assert found["Pulumi SDK"] == version("pulumi")
    assert version("pulumi-kubernetes") in found["provider kubernetes"]
    assert found["kubernetes client"] == version("kubernetes")
    assert found["barman"] == version("barman")
    assert "1.29" in found["CloudNativePG"]
    assert version("pulumi-gcp") in found["extra infrastructure"]
    assert (Path(found["program"]) / "Pulumi.yaml").is_file()


def test_what_is_missing_is_said_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_gcp(name: str) -> str:
        if name == "pulumi-gcp":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(observe, "version", without_gcp)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    assert run(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "there is no pulumi program on PATH" in found["Pulumi engine"]
    assert "not on this machine yet" in found["provider kubernetes"]
    assert "pulumi-gcp is not installed" in found["extra infrastructure"]
    assert run(["version"]) == 0
    assert "barman" in capsys.readouterr().out
