"""Writes a page for each command from what the command line itself says: `python docs/commands/generate.py`."""

import sys
from pathlib import Path

import click

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[1]))

from dr.main import cli  # noqa: E402 - the project's folder has to be known first

_WIDTH = 100


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    group = cli.make_context("python -m dr", [], resilient_parsing=True, terminal_width=_WIDTH)
    names = cli.list_commands(group)
    made = {"README.md": _index(group, names)}
    for name in names:
        command = cli.get_command(group, name)
        if command is None:
            continue
        context = click.Context(command, info_name=name, parent=group)
        made[f"{name}.md"] = f"# {name}\n\n```\n{command.get_help(context).strip()}\n```\n"
    return made


def _index(group: click.Context, names: list[str]) -> str:
    lines = ["# Commands", "", "Written by `python docs/commands/generate.py` from the command line itself.", ""]
    for name in names:
        command = cli.get_command(group, name)
        if command is None:
            continue
        lines.append(f"- [{name}]({name}.md): {command.get_short_help_str(limit=200)}")
    return "\n".join([*lines, "", "```", cli.get_help(group).strip(), "```", ""])


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
