"""Pulumi's provider plugins: which version, and whether it is there."""

from importlib.metadata import version
from pathlib import Path

import pytest

from dr.engine.plugins import plugin_is_there, plugin_version


def test_the_version_is_the_one_of_the_package() -> None:
    assert plugin_version("kubernetes") == f"v{version('pulumi-kubernetes')}"


def test_it_is_looked_for_in_pulumis_folder_and_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not plugin_is_there("kubernetes")
    (tmp_path / "plugins" / "resource-kubernetes-v1.0.0").mkdir(parents=True)
    assert not plugin_is_there("kubernetes")
    (tmp_path / "plugins" / f"resource-kubernetes-{plugin_version('kubernetes')}").mkdir()
    assert plugin_is_there("kubernetes")
    program = tmp_path / "pulumi-resource-command"
    program.write_text("")
    program.chmod(0o755)
    assert plugin_is_there("command")
