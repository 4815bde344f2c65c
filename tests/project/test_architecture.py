"""The architecture beyond what `lint-imports` checks: who prints, who ends the process, how long a file may be."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "dr").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
ANYTHING = {"__init__.py", "conftest.py"}


def _is_command_line(path: Path) -> bool:
    """The command line is ``dr.main``, ``dr.cli``, and in each feature what is named a command or a view."""
    parts = path.relative_to(ROOT / "dr").parts
    return len(parts) == 1 or parts[0] == "cli" or path.stem.endswith(("command", "view"))


BELOW_CLI = [path for path in MODULES if not _is_command_line(path) and path.parent.name != "in_pod"]


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path) -> Iterator[str]:
    """Every module that ``path`` names in an import, wherever it stands; ``from a import b`` gives ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_shown(path)} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", sorted((ROOT / "dr" / "stacks").rglob("*.py")), ids=_shown)
def test_the_programs_of_the_stacks_run_no_engine(path: Path) -> None:
    assert [name for name in _imports(path) if name.startswith("pulumi.automation")] == []


@pytest.mark.parametrize("path", BELOW_CLI, ids=_shown)
def test_nothing_below_the_command_line_prints_or_ends_the_process(path: Path) -> None:
    assert [name for name in _imports(path) if name.split(".")[0] in {"click", "rich"}] == []
    used = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.expr)}
    assert used & {"print", "input", "exit", "quit", "SystemExit", "sys.exit", "os._exit"} == set()


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=_shown)
def test_a_file_has_at_most_600_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 600


def test_every_file_of_the_tests_is_collected_or_imported() -> None:
    # GIVEN the files that pytest does not collect
    helpers = {path for path in TESTS if path.name not in ANYTHING and not path.name.startswith("test_")}
    # WHEN looking for those that no file imports
    imported = {name for path in TESTS for name in _imports(path)}
    unused = {
        helper
        for helper in helpers
        for module in [".".join(helper.relative_to(ROOT).with_suffix("").parts)]
        if not any(name.startswith((f"{module}.", f"{helper.stem}.")) for name in imported)
    }
    # THEN there is none: a misnamed test file would never run and never be missed
    assert unused == set()


def test_help_imports_nothing_heavy() -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dr", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in ended.stderr.splitlines()}
    assert "click" in imported, "the list of imports was not read rightly"
    assert imported & {"pulumi", "pulumi_kubernetes", "kubernetes", "google", "pydantic", "rich", "barman"} == set()
    assert "pitr" in ended.stdout


MIRROR = sorted(
    path for path in TESTS if path.name.startswith("test_") and path.parent.name not in {"e2e", "lab", "project"}
)


@pytest.mark.parametrize("path", MIRROR, ids=_shown)
def test_the_tests_mirror_the_packages(path: Path) -> None:
    """``tests/<package>/test_<module>.py``, or ``test_<module>_<aspect>.py`` where one file would be too long."""
    folder = (ROOT / "dr").joinpath(*path.relative_to(ROOT / "tests").parts[:-1])
    modules = {str(found.relative_to(folder).with_suffix("")).replace("/", "_") for found in folder.rglob("*.py")}
    modules |= {"main"} if folder.name == "cli" else set()
    stem = path.stem.removeprefix("test_")
    assert any(stem == module or stem.startswith(f"{module}_") for module in modules)
