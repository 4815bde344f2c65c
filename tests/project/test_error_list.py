"""docs/errors.md lists every code that the tool can say, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dr.core.errors as tree
from dr.core.errors import DrError

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {name for name, found in vars(tree).items() if isinstance(found, type) and issubclass(found, DrError)}
CODE = r"[a-z]+(?:-[a-z]+)*"


def calls() -> Iterator[ast.Call]:
    for path in sorted((ROOT / "dr").rglob("*.py")):
        yield from (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))


def codes_said() -> Iterator[str]:
    """The codes in the source: the first argument of an error, and ``code=`` of a problem or a failure."""
    for node in calls():
        family = isinstance(node.func, ast.Name) and node.func.id in FAMILIES - {"RefusedError"}
        named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        for argument in (*(node.args[:1] if family else ()), *named):
            yield from (
                found.value
                for found in ast.walk(argument)
                if isinstance(found, ast.Constant) and isinstance(found.value, str)
            )


def test_every_code_is_explained_and_nothing_else() -> None:
    # The two that a table in the configuration's reader gives by the kind of pydantic's fault.
    said = {*codes_said(), "config-missing-key", "config-wrong-value"}
    listed = set(
        re.findall(rf"^\| `({CODE})` \|", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert listed == said


def test_the_exit_codes_of_the_families_are_in_the_list() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    codes = {getattr(tree, name).exit_code for name in FAMILIES}
    headed = {int(number) for number in re.findall(r"\d+", " ".join(re.findall(r"^## (.*)$", text, re.MULTILINE)))}
    assert headed == codes


def test_a_failed_step_and_a_lack_of_access_share_no_code() -> None:
    said: dict[str, set[str]] = {"AccessError": set(), "StepFailedError": set()}
    for node in calls():
        if isinstance(node.func, ast.Name) and node.func.id in said and isinstance(node.args[0], ast.Constant):
            said[node.func.id].add(str(node.args[0].value))
    assert not said["AccessError"] & said["StepFailedError"]
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = {
        section.partition(":")[0]: set(re.findall(rf"^\| `({CODE})` \|", section, re.MULTILINE))
        for section in text.split("\n## ")
    }
    assert not listed["5"] & said["StepFailedError"]
    assert not listed["10"] & said["AccessError"]
