"""The guard's policies, as the pack registers them: with a double in place of Pulumi's registration, which starts a
server that only the engine ends.
"""

import runpy
import sys
from importlib.resources import as_file, files
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pulumi_policy
import pytest

from dr.config import extras
from dr.program import guard_pack
from dr.program.guard_pack import register

ROOT = Path(__file__).resolve().parents[2]


class _Guard:
    """A guard that finds everything wrong."""

    def __init__(self, project: Path) -> None:
        self.project = project
        _Guard.made.append(self)

    made: ClassVar["list[_Guard]"] = []

    def of_resource(self, urn: str, kind: str, inputs: Any) -> list[str]:
        return [f"{urn} {kind} {inputs}"]

    def of_stack(self, declared: set[str]) -> list[str]:
        return [" ".join(sorted(declared))]


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was registered: name, policies, level."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(_Guard, "made", [])
    monkeypatch.setattr(guard_pack, "PackGuard", _Guard)
    monkeypatch.setattr(
        pulumi_policy, "PolicyPack", lambda name, policies, enforcement_level: found.append((name, policies))
    )
    return found


def test_both_policies_report_what_the_guard_says(packs: list[tuple[Any, ...]], tmp_path: Path) -> None:
    register(tmp_path)
    ((name, (each, whole)),) = packs
    assert name == "postgres-dr"
    said: list[tuple[str, str | None]] = []
    one = SimpleNamespace(urn="urn:it", resource_type="kind", props={"a": 1})
    each.validate(one, lambda text, urn=None: said.append((text, urn)))
    whole.validate(SimpleNamespace(resources=[one]), lambda text, urn=None: said.append((text, urn)))
    assert said == [("urn:it kind {'a': 1}", "urn:it"), ("urn:it", None)]


@pytest.mark.parametrize("in_a_project", [True, False])
def test_the_files_are_those_of_the_project_that_pulumi_runs_in(
    in_a_project: bool, packs: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if in_a_project:
        (tmp_path / "Pulumi.yaml").write_text("name: postgres-dr")
    register(Path("/the/pack's"))
    assert _Guard.made[0].project == (tmp_path if in_a_project else Path("/the/pack's"))


@pytest.mark.parametrize("installed", [True, False], ids=["installed", "in-the-root"])
def test_the_pack_is_found_and_runs_as_pulumi_runs_one(
    installed: bool, packs: list[tuple[Any, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with as_file(files("dr.program") / "policy") as folder:
        runpy.run_path(str(folder if installed else ROOT / "policy"), run_name="__main__")
    assert [name for name, _ in packs] == ["postgres-dr"]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(extras, "distributions", lambda **_: ())
    with pytest.raises(ImportError, match=r"(?s)extra-missing: .*'postgres-dr\[policy\]'"):
        register(tmp_path)
