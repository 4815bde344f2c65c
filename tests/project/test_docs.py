"""The documentation holds: its links lead somewhere, its commands exist, and what is made of the code is up to date."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from dr.engine.command import MINIMUM
from dr.main import cli
from tests.support.documentation import MADE, PAGES, ROOT, commands


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_oldest_pulumi_is_said() -> None:
    """O11."""
    assert f"{MINIMUM.major}.{MINIMUM.minor} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        there = (page.parent / place).resolve() if place else page
        assert there.exists(), f"{shown(page)} links to {target}"
        if anchor:
            assert anchor in anchors(there), f"{shown(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_command_and_its_options_exist(page: Path) -> None:
    group = click.Context(cli)
    for words in commands(page):
        if not words or words[0].startswith("-"):
            continue
        command = cli.get_command(group, words[0])
        assert command is not None, f"{shown(page)}: {words}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.split("=")[0] for word in words[1:] if word.startswith("--")}
        assert used <= known | {"--help"}, f"{shown(page)}: {words}"


def test_the_pages_of_the_commands_say_what_the_command_line_says() -> None:
    pages = script(MADE / "generate.py").pages()
    assert {path.name for path in MADE.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (MADE / name).read_text(encoding="utf-8") == text, f"{name}: python docs/commands/generate.py"


def test_the_picture_is_the_one_that_its_source_draws() -> None:
    folder = ROOT / "docs" / "pictures"
    assert (folder / "stacks.svg").read_text(encoding="utf-8") == script(folder / "draw.py").picture()


def test_every_rule_of_the_guard_is_explained() -> None:
    from dr.config.environment import Rule

    text = (ROOT / "docs" / "guard.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == set(Rule)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_place_in_the_code_that_a_page_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it tells of places as they were
    text = page.read_text(encoding="utf-8")
    for place in re.findall(r"`((?:dr|docs|tests|lab|bench|deploy|policy)/[\w./-]+)`", text):
        assert (ROOT / place).exists(), f"{shown(page)} names {place}"
    for name in re.findall(r"`(dr(?:\.\w+)+)`", text):
        parts = name.split(".")
        found = [k for k in range(len(parts), 1, -1) if _module(parts[:k]).exists()]
        assert found, f"{shown(page)} names {name}"
        if rest := parts[found[0] :]:
            assert re.search(rf"^(?:class |def )?{rest[0]}\b", _module(parts[: found[0]]).read_text(), re.MULTILINE), (
                name
            )


def _module(parts: list[str]) -> Path:
    folder = ROOT.joinpath(*parts)
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
