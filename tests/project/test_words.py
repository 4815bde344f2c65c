"""What a person reads is plain English: no archaic word, no sentence that is too long."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "dr").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST = 35
"""Words in a sentence of a page. A name in backticks is one word."""

BANNED = re.compile(
    r"""\b(
        mend(s|ed|ing)? | anew | heed(s|ed|ing)? | who(m|so)?ever | told | upon | beside | wish(es|ed|ing)?
        | by\ (it|them)sel(f|ves) | by\ lot | go(es|ne)?\ on(?!\ (a|the|its|their)\b) | gone\ back
        | speaks?\ against | lets?\ go
    )\b
    | (?<!there\ )\b(is|are|was|were)\ no\ (?!longer|more|less|later|earlier|newer|older)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Whole words and phrases. "There is no backup" is plain, "x is no backup" is not."""

_FENCE = re.compile(r"^\s*(```|~~~)")
_NEW_BLOCK = re.compile(r"^\s*([-*+]|\d+\.)\s|^#|^\s*\|")
_CODE, _LINK = re.compile(r"`+[^`]+`+"), re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_END = re.compile(r"""(?<=[.!?])["')*_]*\s+(?=["'(*_`\[]*[A-Z0-9`])""")


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _literals(source: str) -> Iterator[tuple[int, str]]:
    """Every text of a module with its first line: literals and docstrings; a value within an f-string is left out."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Each paragraph, list item, heading or table cell of a page with its first line; code blocks are left out."""
    block: list[str] = []
    first, code = 1, False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        fence = bool(_FENCE.match(line))
        if block and (fence or not line.strip() or _NEW_BLOCK.match(line)):
            yield first, " ".join(block)
            block = []
        code = code != fence
        if code or fence or (not block and line.startswith("    ")):
            continue
        if line.lstrip().startswith("|"):
            yield from ((number, cell.strip()) for cell in re.split(r"(?<!\\)\|", line))
        elif line.strip():
            first = first if block else number
            block.append(line.strip())


def _prose(text: str) -> str:
    return _CODE.sub("CODE", _LINK.sub(r"\1", text))


def _banned(place: str, text: str) -> list[str]:
    return [f"{place}: {found.group().strip()!r}" for found in BANNED.finditer(" ".join(text.split()))]


@pytest.mark.parametrize("path", MODULES, ids=_shown)
def test_the_texts_of_the_code_have_no_banned_word(path: Path) -> None:
    found = [
        hit for line, text in _literals(path.read_text()) for hit in _banned(f"{_shown(path)}:{line}", _prose(text))
    ]
    assert found == []


@pytest.mark.parametrize("path", PAGES, ids=_shown)
def test_the_pages_have_no_banned_word(path: Path) -> None:
    blocks = _blocks(path.read_text())
    assert [hit for line, text in blocks for hit in _banned(f"{_shown(path)}:{line}", _prose(text))] == []


@pytest.mark.parametrize("path", PAGES, ids=_shown)
def test_no_sentence_of_a_page_is_too_long(path: Path) -> None:
    found = [
        f"{_shown(path)}:{line}: {len(sentence.split())} words: {sentence}"
        for line, text in _blocks(path.read_text())
        for sentence in _END.split(_prose(text))
        if len(sentence.split()) > LONGEST
    ]
    assert found == []
