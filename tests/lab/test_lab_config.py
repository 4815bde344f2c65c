"""The lab's configuration is the checkout's with a few values on top."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab import config
from lab.errors import LabError
from lab.paths import State


def test_mappings_are_merged_and_values_replaced() -> None:
    base = {"a": {"b": {"c": 1, "d": 2}}, "list": [1, 2], "kept": True, "value": 1}
    over = {"a": {"b": {"c": 3}}, "list": [4], "value": {"now": "a mapping"}}
    merged = config.overlaid(base, over)
    assert merged == {"a": {"b": {"c": 3, "d": 2}}, "list": [4], "kept": True, "value": {"now": "a mapping"}}
    assert base["a"] == {"b": {"c": 1, "d": 2}}, "the base was changed"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: postgres-dr\nruntime: python\n")
    document = {
        "config": {"postgres-dr:kubernetes": {"context": "real", "kept": "yes"}, "postgres-dr:namespace": "data"}
    }
    for environment in ("dev", "prod"):
        (folder / f"Pulumi.{environment}.yaml").write_text(yaml.safe_dump(document))
    return folder


def test_each_environment_gets_its_own(checkout: Path, tmp_path: Path) -> None:
    where = State(tmp_path / "state")
    config.write(where, checkout)
    written = yaml.safe_load((where.config / "Pulumi.prod.yaml").read_text())["config"]
    assert written == {
        "postgres-dr:kubernetes": {"context": "lab-prod", "kept": "yes"},
        "postgres-dr:namespace": "data",
        "postgres-dr:cloudStatusUrl": "http://127.0.0.1:9/incidents.json",
        "postgres-dr:smokeTestUrl": "http://10.96.100.11/health",
        "postgres-dr:stateBackend": f"file://{where.pulumi}",
    }
    dev = yaml.safe_load((where.config / "Pulumi.dev.yaml").read_text())["config"]
    assert dev["postgres-dr:kubernetes"]["context"] == "lab-dev"
    assert (where.config / "Pulumi.yaml").read_text() == (checkout / "Pulumi.yaml").read_text()
    assert where.pulumi.is_dir(), "Pulumi's file backend does not make its folder"


def test_missing_file_is_named(checkout: Path, tmp_path: Path) -> None:
    (checkout / "Pulumi.dev.yaml").unlink()
    with pytest.raises(LabError, match=r"Pulumi\.dev\.yaml"):
        config.write(State(tmp_path / "state"), checkout)


def test_file_without_config_is_refused(checkout: Path, tmp_path: Path) -> None:
    (checkout / "Pulumi.prod.yaml").write_text("- a list\n")
    with pytest.raises(LabError) as caught:
        config.write(State(tmp_path / "state"), checkout)
    assert "config" in caught.value.why
