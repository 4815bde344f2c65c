"""The pages of the documentation, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "lab").glob("*.md")])
MADE = ROOT / "docs" / "commands"
"""Pages that are made of the command line itself."""


def commands(path: Path) -> Iterator[list[str]]:
    """The words of each `python -m dr` in a page: in a block or between backticks, without what is only a comment."""
    if path.parent == MADE:
        return
    text = path.read_text(encoding="utf-8")
    for found in re.findall(r"`(python -m dr [^`]*)`|^\s{4,}(?:\$ )?(?:\S*/)?(python -m dr .*)$", text, re.MULTILINE):
        line = " ".join((found[0] or found[1]).split(" #")[0].replace("…", "X").split())
        yield shlex.split(line)[3:]
