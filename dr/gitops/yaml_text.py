"""Changing single values in a YAML text, and nothing else of it.

What people keep in Git has comments, aligned columns and quotes of their own. A writer of YAML lays all of that anew
(ruamel.yaml, which keeps most, still joins flow mappings of several lines, folds scalars and takes aligned spaces out),
and the change that matters drowns in the diff. So the parser is asked only where a value stands, and the text is
changed there. What came of it is read again and has to say exactly what was meant, or nothing is returned.
"""

import copy
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from dr.gitops.yaml_splice import Aliases, Path, Splicer, Value, YamlTextError

_STRING = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_BASE_60 = re.compile(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$")
_GONE = object()


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: 1.1, but times and ``1:30`` are strings. An alias is a node with its own place."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.aliases: Aliases = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event() if self.check_event(yaml.AliasEvent) else None  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if event is None or node is None:
            return node
        node = copy.copy(node)
        node.start_mark, node.end_mark = event.start_mark, event.end_mark
        self.aliases[id(node)] = node
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(_STRING, _BASE_60), *((tag, pattern) for tag, pattern in known if tag != _TIMESTAMP)]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One value to be ``value``; None takes it away, and ``comment``, lines without the ``#``, stands in its place.

    Mappings that are missing on the way to a value are made, behind the key ``after`` where there is one.
    """

    path: Path
    value: Value | None
    comment: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One document: what it says in plain values, or why nobody can tell (a foreign tag, a template, a key twice).

    ``text`` is its part of the whole.
    """

    text: str
    value: Any = None
    fault: str = ""


def read_documents(text: str) -> tuple[Document, ...]:
    """The documents of ``text``. Raises YamlTextError when it is no YAML."""
    nodes, aliases = _compose(text)
    return tuple(_document(text[node.start_mark.index : node.end_mark.index], node, aliases) for node in nodes)


def edited(text: str, edits: Sequence[tuple[int, Edit]]) -> str:
    """``text`` with each edit, of the document of that number, done; all paths are those of ``text`` as it is.

    Raises YamlTextError when the text is written in a way that does not let itself be changed in place.
    """
    nodes, aliases = _compose(text)
    splicer = Splicer(text, aliases)
    expected = [document.value for document in read_documents(text)]
    for number, edit in edits:
        node = nodes[number]
        if edit.value is None:
            splicer.remove(node, edit.path, edit.comment)
        else:
            splicer.put(node, edit.path, edit.value, edit.after)
        expected[number] = _applied(expected[number], edit)
    result = splicer.result()
    if [document.value for document in read_documents(result)] != [_pruned(value) for value in expected]:
        raise YamlTextError("a value to be changed is shared by an anchor, a merge key or an unusual layout")
    return result


def _compose(text: str) -> tuple[list[yaml.Node], Aliases]:
    try:
        loader = _Loader(text)
        nodes = []
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                nodes.append(node)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise YamlTextError(f"{where}{error.problem or error.context}") from error
    except yaml.YAMLError as error:  # the reader's: a character that YAML does not have
        raise YamlTextError(str(error).splitlines()[0]) from error
    return nodes, loader.aliases


def _document(text: str, node: yaml.Node, aliases: Aliases) -> Document:
    for key in _repeated_keys(node, aliases):
        return Document(text=text, fault=f"line {key.start_mark.line + 1}: the key {key.value!r} stands twice")
    try:
        # Merge keys are resolved in place: that must not happen to the nodes that tell where things stand.
        value = _Loader("").construct_document(copy.deepcopy(node))
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return Document(text=text, fault=f"{where}{error.problem or error.context}")
    except ValueError as error:
        return Document(text=text, fault=str(error))
    return Document(text=text, value=value)


def _repeated_keys(node: yaml.Node, aliases: Aliases) -> Iterator[yaml.ScalarNode]:
    if id(node) in aliases:
        return
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _repeated_keys(value, aliases)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item, aliases)


def block_text(text: str, number: int, path: Path) -> str | None:
    """The mapping at ``path`` of that document as it is written, with its comments and without its indentation; None
    where it is not written in block style. Raises YamlTextError when ``text`` is no YAML.
    """
    nodes, aliases = _compose(text)
    found = Splicer(text, aliases).block(nodes[number], path)
    if found is None:
        return None
    lines = textwrap.dedent(found.replace("\r\n", "\n"))
    value: Any = read_documents(text)[number].value
    for step in path:
        value = value[step]
    written = read_documents(lines)
    return lines if len(written) == 1 and written[0].value == value else None


def _as_read(value: Value) -> Any:
    if isinstance(value, Mapping):
        return {key: _as_read(inner) for key, inner in value.items()}
    return [_as_read(item) for item in value] if isinstance(value, tuple) else value


def _applied(value: Any, edit: Edit) -> Any:
    """``value`` with ``edit`` done; what is taken away is only marked, so that the places of others stay."""
    if not edit.path:
        if edit.value is None:
            return _GONE
        return _as_read(edit.value)
    first, rest = edit.path[0], Edit(path=edit.path[1:], value=edit.value)
    if isinstance(first, int):
        return [*value[:first], _applied(value[first], rest), *value[first + 1 :]]
    return {**(value or {}), first: _applied((value or {}).get(first), rest)}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(inner) for key, inner in value.items() if inner is not _GONE}
    if isinstance(value, list):
        return [_pruned(inner) for inner in value if inner is not _GONE]
    return value
