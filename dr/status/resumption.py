"""What ``dr resume`` does of a recorded command: a user who may write the record must not be able to have more done.

The record is a ConfigMap, or an object in a bucket. Of its text only what this tool writes there itself is taken: an
operation of its own, with that operation's own options, on this environment. Agreement (``--yes``, ``--confirm``), the
guard's overrides and another configuration are never among them. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dr.core.commands import CommandLines, words_after_program
from dr.core.errors import Problem, RefusedError
from dr.core.history import OperationEntry

_FOLDER = "--config-dir"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an operation is asked for by: options with a value, and those without."""

    valued: frozenset[str]
    flags: frozenset[str]


def _options(valued: str, flags: str = "") -> Options:
    named = (frozenset(f"--{name}" for name in names.split()) for names in (f"env {valued}", flags))
    return Options(valued=next(named), flags=next(named))


_SOURCE = "source recovered-name source-manifest snapshot"
RESUMED: Mapping[str, Options] = {
    "pitr": _options(
        f"target-time target-lsn target-xid target-name backup-id timeline expect-table {_SOURCE}",
        "target-immediate exclusive skip-seal switchover continue",
    ),
    "latest": _options(_SOURCE, "skip-seal switchover continue"),
    "extract": _options("table target-time source source-manifest", "swap keep-scratch skip-seal"),
    "full-rebuild": _options("region zone durable"),
    "switchover": _options("recovered-name", "hibernate-old"),
    "rollback": _options("", "hibernate-old"),
    "finalize": _options("checkout branch", "push"),
}
"""The operations that are written down to be resumed: what each ``command`` of theirs makes."""


def words_of(entry: OperationEntry, commands: CommandLines) -> list[str]:
    """The words of the command that continues ``entry``, without the program: the operation, then its options, each
    with its value in one word. ``commands`` are the environment's; the folder of the configuration that was named then
    is left out. Raises RefusedError ``resume-unexpected`` where it is none that this tool writes.
    """
    try:
        operation, *rest = words_after_program(entry.go_on)
    except ValueError:
        raise _unexpected(entry, commands, "it is not a command of this tool") from None
    known = RESUMED.get(operation)
    if known is None or operation != entry.operation:
        raise _unexpected(entry, commands, f"it is not the operation {entry.operation}")
    found = list(_read(entry, commands, known, rest))
    if f"--env={commands.environment}" not in found:
        raise _unexpected(entry, commands, f"it is not for {commands.environment}")
    return [operation, *found]


def _read(entry: OperationEntry, commands: CommandLines, known: Options, words: list[str]) -> Iterator[str]:
    left = iter(words)
    valued, seen = known.valued | {_FOLDER}, set[str]()
    for word in left:
        value = next(left, None) if word in valued else ""
        if word in seen or value is None or word not in valued | known.flags:
            raise _unexpected(entry, commands, f"{word} is not an option that it would have there")
        seen.add(word)
        if word != _FOLDER:
            yield f"{word}={value}" if word in valued else word


def _unexpected(entry: OperationEntry, commands: CommandLines, why: str) -> RefusedError:
    return RefusedError(
        [
            Problem(
                code="resume-unexpected",
                cause="the command recorded to continue with is not one that this tool writes: "
                f"{entry.go_on[:300]!r}; {why}",
                remedy="find out who changed the record; then give the command yourself: "
                f"{commands.dr('status')} shows where things stand",
            )
        ]
    )
