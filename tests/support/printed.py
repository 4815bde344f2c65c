"""Reading the commands that the tool prints, as the shell and the programs read them."""

import argparse
import shlex
from copy import copy
from typing import NoReturn

import click

from dr.core.commands import CommandLines, words_after_program
from dr.main import cli

_KUBECTL = {
    ("config", "rename-context"): (),
    ("cnpg", "backup"): ("--method=", "--plugin-name="),
    ("cnpg", "status"): (),
    ("delete",): ("--ignore-not-found", "--force", "--grace-period="),
    ("describe",): (),
    ("exec",): ("-it", "-c="),
    ("get",): ("-A", "-l=", "-o=", "--raw="),
    ("label",): (),
    ("logs",): ("--all-containers", "--previous", "--tail=", "-l="),
    ("patch",): ("--type=", "-p="),
    ("rollout", "status"): ("--timeout=",),
    ("scale",): ("--replicas=",),
    ("version",): (),
}
"""What is used of kubectl: its commands, and their options; one with a value ends with ``=``."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def check_dr(line: str, of: CommandLines) -> None:
    """See that ``line`` is a command of this tool that its own parser takes, on the environment of ``of``. Raises
    AssertionError, click.UsageError, ValueError.
    """
    name, *words = words_after_program(line)
    if name.startswith("-"):
        return
    root = click.Context(cli)
    found = cli.get_command(root, name)
    assert found is not None, f"{line}: no command {name}"
    command = copy(found)  # click keeps the help option of the first context in it
    given, _, _ = command.make_parser(click.Context(command, parent=root, info_name=name)).parse_args(list(words))
    places = {one.name: given.get(str(one.name)) for one in command.params}
    assert places["environment"] == (of.environment or None), line
    assert places["config_dir"] == (of.config_dir or None), line
    if of.environment:
        missing = [one.name for one in command.params if one.required and not given.get(str(one.name))]
        assert not missing, f"{line}: without {missing}"
    for one in command.params:
        if isinstance(one.type, click.Choice) and given.get(str(one.name)) is not None:
            one.type.convert(given[str(one.name)], one, None)


def check_kubectl(line: str, of: CommandLines, *, namespace: str) -> None:
    """See that kubectl takes ``line``, and for the cluster of ``of``. Raises AssertionError, ValueError."""
    variable, _, rest = line.partition(" ") if line.startswith("KUBECONFIG=") else ("", "", line)
    (program, *words), behind = shlex.split(rest), []
    assert program == "kubectl", line
    if "--" in words:
        words, behind = words[: words.index("--")], words[words.index("--") + 1 :]
    common = _Parser(add_help=False, allow_abbrev=False)
    for option in ("--context", "--kubeconfig", "-n"):
        common.add_argument(option, action="append", default=[])
    cluster, left = common.parse_known_args(words)
    verb = next((known for known in _KUBECTL if tuple(left[: len(known)]) == known), None)
    assert verb is not None, f"{line}: {left} is nothing that is known of kubectl"
    parser = _Parser(add_help=False, allow_abbrev=False)
    for option in _KUBECTL[verb]:
        parser.add_argument(option.rstrip("="), action="store" if option.endswith("=") else "store_true")
    parser.add_argument("objects", nargs="*")
    parsed = parser.parse_intermixed_args(left[len(verb) :])
    assert (cluster.context, cluster.n) == ([of.context] if of.context else [], [namespace] if namespace else []), line
    files = shlex.split(variable.removeprefix("KUBECONFIG=")) or cluster.kubeconfig
    assert files == ([of.kubeconfig] if of.kubeconfig else []), line
    assert bool(behind) == (verb == ("exec",)), line
    assert verb != ("cnpg", *verb[1:]) or words[:1] == ["cnpg"], f"{line}: options before a plugin's name"
    assert not any(word.startswith("-") for word in parsed.objects), line
