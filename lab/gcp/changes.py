"""What differs between what is there and what is wanted, as the provider tells the engine; a pure decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pulumi.runtime.rpc import UNKNOWN

from lab.gcp.cloud import Values
from lab.gcp.kinds import Kind, last_word


@dataclass(frozen=True)
class Change:
    """One property that differs."""

    path: str
    """With indices: `lifecycleRules[0].condition.age`."""
    old: Any
    new: Any
    replaces: bool
    """Whether only another resource can have the new value."""

    @property
    def name(self) -> str:
        """The property at the top of its path."""
        return self.path.split(".")[0].split("[")[0]


def changes(kind: Kind, state: Values, inputs: Values) -> list[Change]:
    """Everything that differs.

    Args:
        kind: of the resource.
        state: its properties as they were read last.
        inputs: what the program wants; one that it leaves out is a default, Google's choice, or nothing.
    """
    found: list[Change] = []
    for name in sorted(kind.inputs):
        new = inputs.get(name)
        if new is None:
            new = kind.defaults.get(name, kind.by_provider.get(name))
        if new is None and (name in kind.by_server or name in kind.by_provider):
            continue
        found += _differences(kind, name, name, state.get(name), new)
    return found


def _differences(kind: Kind, path: str, dotted: str, old: Any, new: Any) -> Iterator[Change]:
    if not old and not new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            below = f"{dotted}.{key}"
            if new.get(key) is not None or below not in kind.by_server:
                yield from _differences(kind, f"{path}.{key}", below, old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list) and not _alike(old, new):
        for index in range(max(len(old), len(new))):
            pair = (values[index] if index < len(values) else None for values in (old, new))
            yield from _differences(kind, f"{path}[{index}]", dotted, *pair)
    elif new == UNKNOWN or not _same(kind, dotted, old, new):
        yield Change(path, old, new, replaces=_is_fixed(kind, dotted))


def _alike(old: list[Any], new: list[Any]) -> bool:
    """Whether they hold the same words: where the order of words means something, the stacks have no such list."""
    return all(isinstance(item, str) for item in (*old, *new)) and sorted(old) == sorted(new)


def _same(kind: Kind, name: str, old: Any, new: Any) -> bool:
    if isinstance(old, list) and isinstance(new, list):
        return _alike(old, new)
    if isinstance(old, str) and isinstance(new, str):
        if name in kind.references:
            return last_word(old) == last_word(new)
        if name == "location":
            return old.casefold() == new.casefold()
    if isinstance(old, int | float | str) and isinstance(new, int | float | str):
        return str(old) == str(new)  # the schema has durations as text, Google has them as numbers
    return bool(old == new)


def _is_fixed(kind: Kind, dotted: str) -> bool:
    words = dotted.split(".")
    return any(".".join(words[: count + 1]) in kind.fixed for count in range(len(words)))
