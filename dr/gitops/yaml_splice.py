"""Changing single values in a YAML text, and nothing else of it.

Positions are those of the parser's marks, in characters. Nothing here knows what the values mean.

What people keep in Git has comments, aligned columns and quotes of their own. A YAML writer lays them out in its own
way, and the change that matters drowns in the diff (measured with ruamel.yaml in
docs/adr/0007-manifests-are-spliced.md). So the parser is asked only where a value stands, and the text is
changed there. What came of it is read again and has to say exactly what was meant, or nothing is returned.
"""

import copy
import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[str | int, ...]
Value = str | bool | int | Sequence["Value"] | Mapping[str, "Value"]
"""What can be put in. A sequence is a tuple; strings are written so that they are read as strings."""
Aliases = dict[int, yaml.Node]
"""The nodes that are aliases, by ``id``; each stands where the alias stands."""

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:\r?\n|\Z)")
_NULL = "tag:yaml.org,2002:null"
_BLOCK_SCALARS = ("|", ">")


class YamlTextError(ValueError):
    """The text is not YAML, or cannot be changed in place. Its words say where and why."""


class Splicer:
    """Collects what is to be cut out of ``text`` and put into it. All positions are those of the text as it was."""

    def __init__(self, text: str, aliases: Aliases) -> None:
        self._text = text
        self._aliases = aliases
        self._newline = "\r\n" if "\r\n" in text else "\n"
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
        self._dashes = [token.start_mark.index for token in tokens if isinstance(token, yaml.BlockEntryToken)]
        self._commas = [token.start_mark.index for token in tokens if isinstance(token, yaml.FlowEntryToken)]
        self._cuts: list[tuple[int, int, str]] = []

    def result(self) -> str:
        """The text with all cuts made."""
        parts, reached = [], 0
        for start, end, new in sorted(self._cuts, key=lambda cut: cut[0]):
            parts += [self._text[reached : max(start, reached)], new.replace("\n", self._newline)]
            reached = max(end, reached)
        return "".join([*parts, self._text[reached:]])

    def put(self, node: yaml.Node, path: Path, value: Value, after: str) -> None:
        """Let the value at ``path`` be ``value``; what is missing on the way is made, behind the key ``after``."""
        root = node
        for depth, step in enumerate(path):
            if self._is_null(node):
                self._fill(node, _flow(path[depth:], value))
                return
            inner = self._child(node, step)
            if inner is None:
                self._insert(root, node, path[depth:], value, after)
                return
            node = inner
        if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            self._put_sequence(node, value)
        elif self._is_null(node):
            self._fill(node, _flow((), value))
        elif isinstance(value, tuple) and isinstance(node, yaml.SequenceNode):
            self._replace_sequence(root, node, value)
        elif not isinstance(value, str):
            raise YamlTextError(
                f"line {node.start_mark.line + 1}: there is something already: {'.'.join(map(str, path))}"
            )
        elif id(node) in self._aliases or not isinstance(node, yaml.ScalarNode):
            self._cut(self._start(node), self._end(node), _scalar(value))
        else:
            self._cut(self._start(node), self._end(node), self._properties(node) + _scalar(value, node.style))

    def remove(self, node: yaml.Node, path: Path, comment: Sequence[str]) -> None:
        """Take what is at ``path`` away, with the comments on its last line and below it that are indented deeper."""
        outer, line = node, self._line_start(self._start(node))
        for step in path[:-1]:
            line = self._block_line(outer, step, line)
            found = self._child(outer, step)
            if found is None:
                raise YamlTextError(f"{'.'.join(map(str, path))} comes from a merge key")
            outer = found
        value = self._child(outer, path[-1])
        if value is None:
            raise YamlTextError(f"{'.'.join(map(str, path))} comes from a merge key")
        start = self._entry_start(outer, path[-1])
        if getattr(outer, "flow_style", False):
            self._remove_from_flow(outer, start, self._end(value))
            column = len(self._text[line:]) - len(self._text[line:].lstrip(" "))
            self._cut(line, line, self._comment(comment, column))
            return
        first = self._line_start(start)
        if self._text[first:start].strip():
            raise YamlTextError(f"line {self._text.count(chr(10), 0, start) + 1}: it does not begin a line of its own")
        self._cut(first, self._block_end(start - first, self._end(value)), self._comment(comment, start - first))

    def block(self, node: yaml.Node, path: Path) -> str | None:
        """The lines of a mapping in block style, comments and all, or None where it is written in another way."""
        key: yaml.Node | None = None
        for step in path:
            if id(node) in self._aliases or not isinstance(node, yaml.MappingNode) or node.flow_style:
                return None
            key, node = next((pair for pair in node.value if pair[0].value == step), (None, node))
            if key is None:
                return None
        if key is None or id(node) in self._aliases or not isinstance(node, yaml.MappingNode) or node.flow_style:
            return None
        if self._properties(node):
            return None
        start = self._line_end(self._start(key))
        return self._text[start : self._block_end(key.start_mark.column, self._end(node))]

    # Finding one's way

    def _child(self, node: yaml.Node, step: str | int) -> yaml.Node | None:
        if id(node) in self._aliases:
            line = node.start_mark.line + 1
            raise YamlTextError(f"line {line}: the alias stands for something that must change: write it out")
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            found: yaml.Node = node.value[step]
            return found
        if isinstance(node, yaml.MappingNode):
            return next((value for key, value in node.value if getattr(key, "value", None) == step), None)
        raise YamlTextError(f"line {node.start_mark.line + 1}: it is not what a {step!r} can stand in")

    def _entry_start(self, outer: yaml.Node, step: str | int) -> int:
        """Where the entry begins: its key, the dash of a block sequence, or the item itself."""
        if isinstance(outer, yaml.MappingNode):
            return next(self._start(key) for key, _ in outer.value if getattr(key, "value", None) == step)
        start = self._start(outer.value[step])
        return start if getattr(outer, "flow_style", False) else max(dash for dash in self._dashes if dash < start)

    def _block_line(self, outer: yaml.Node, step: str | int, line: int) -> int:
        """The line of the entry when ``outer`` is written in block style, else ``line``, that of an outer one."""
        return line if getattr(outer, "flow_style", False) else self._line_start(self._entry_start(outer, step))

    @staticmethod
    def _start(node: yaml.Node) -> int:
        return int(node.start_mark.index)

    def _end(self, node: yaml.Node) -> int:
        """Where the last thing of ``node`` ends: the parser's own mark is that of the next thing after it."""
        if id(node) not in self._aliases:
            if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
                last = node.value[-1]
                return max(map(self._end, last)) if isinstance(last, tuple) else self._end(last)
            if isinstance(node, yaml.ScalarNode) and node.style in _BLOCK_SCALARS:
                return len(self._text[: node.end_mark.index].rstrip())
        return int(node.end_mark.index)

    def _line_start(self, position: int) -> int:
        return self._text.rfind("\n", 0, position) + 1

    def _line_end(self, position: int) -> int:
        found = self._text.find("\n", position)
        return len(self._text) if found < 0 else found + 1

    def _block_end(self, column: int, end: int) -> int:
        """The end of the lines of a block entry at ``column``: comments that are indented deeper are its own."""
        reached = position = self._line_end(end)
        while position < len(self._text):
            line = self._text[position : self._line_end(position)]
            position += len(line)
            if line.strip():
                if not line.lstrip().startswith("#") or len(line) - len(line.lstrip()) <= column:
                    break
                reached = position
        return reached

    def _properties(self, node: yaml.Node) -> str:
        found = _PROPERTIES.match(self._text, self._start(node))
        return found.group() if found else ""

    @staticmethod
    def _is_null(node: yaml.Node) -> bool:
        return isinstance(node, yaml.ScalarNode) and node.tag == _NULL

    # Cutting

    def _cut(self, start: int, end: int, new: str) -> None:
        if end == len(self._text) and self._text and not self._text.endswith("\n"):
            if start == end and new.endswith("\n"):
                new = "\n" + new
            new = new.removesuffix("\n")
        self._cuts.append((start, end, new))

    def _fill(self, node: yaml.Node, new: str) -> None:
        """A value where none was written, or ``null``."""
        gap = "" if self._text[self._start(node) - 1].isspace() else " "
        self._cut(self._start(node), self._end(node), gap + new)

    def _put_sequence(self, node: yaml.Node, values: tuple[str, ...]) -> None:
        if not isinstance(node, yaml.SequenceNode) or node.flow_style or id(node) in self._aliases or not node.value:
            new = f"[{', '.join(map(_scalar, values))}]"
            if self._is_null(node):
                self._fill(node, new)
            else:
                self._cut(self._start(node), self._end(node), new)
            return
        first = self._entry_start(node, 0)
        column = first - self._line_start(first)
        end = self._block_end(column, self._end(node))
        known = tuple(getattr(item, "value", None) for item in node.value)
        kept = len(known) if known == values[: len(known)] else 0
        lines = "".join(f"{' ' * column}- {_scalar(value)}\n" for value in values[kept:])
        self._cut(end if kept else self._line_start(first), end, lines)

    def _replace_sequence(self, root: yaml.Node, node: yaml.SequenceNode, values: tuple[Value, ...]) -> None:
        """Other entries in place of all those of ``node``, whose comments go with them."""
        if node.flow_style or id(node) in self._aliases or not node.value:
            self._cut(self._start(node), self._end(node), _flow((), values))
            return
        first = self._entry_start(node, 0)
        column = first - self._line_start(first)
        end = self._block_end(column, self._end(node))
        lines = _lines(values, column, *self._indents(root))
        self._cut(self._line_start(first), end, "".join(f"{line}\n" for line in lines))

    def _insert(self, root: yaml.Node, node: yaml.Node, rest: Path, value: Value, after: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            raise YamlTextError(f"line {node.start_mark.line + 1}: it is not what a {rest[0]!r} can stand in")
        pairs = {getattr(key, "value", None): (key, inner) for key, inner in node.value}
        if not node.value:
            position = self._text.index("{", self._start(node)) + 1
            self._cut(position, position, _flow(rest, value)[1:-1])
            return
        key, inner = pairs[after] if after in pairs else node.value[-1]
        if node.flow_style:
            position = self._end(inner)
            self._cut(position, position, ", " + _flow(rest, value)[1:-1])
            return
        column = key.start_mark.column
        position = self._block_end(column, self._end(inner))
        self._cut(position, position, _block(rest, value, column, *self._indents(root)))

    def _indents(self, root: yaml.Node) -> tuple[int, int]:
        """By how much this document indents a mapping below its key, and a dash; 2 where it shows neither."""
        mapping, dash = [], []
        waiting = [root]
        while waiting:
            node = waiting.pop(0)
            if id(node) in self._aliases or not isinstance(node, yaml.CollectionNode) or node.flow_style:
                continue
            if isinstance(node, yaml.SequenceNode):
                waiting += node.value
                continue
            for key, value in node.value:
                waiting.append(value)
                if isinstance(value, yaml.CollectionNode) and not value.flow_style and value.value:
                    below = value.value[0]
                    start = self._entry_start(value, 0) if isinstance(value, yaml.SequenceNode) else below[0].start_mark
                    if isinstance(start, int):
                        dash.append(start - self._line_start(start) - key.start_mark.column)
                    elif id(value) not in self._aliases:
                        mapping.append(start.column - key.start_mark.column)
        return next(iter(mapping), 2), next(iter(dash), 2)

    def _remove_from_flow(self, outer: yaml.Node, start: int, end: int) -> None:
        line = self._line_start(start)
        alone_before = not self._text[line:start].strip()
        comma = next((at for at in self._commas if at >= end), None)
        if comma is not None and not self._text[end:comma].strip():
            end = comma + 1
            if not alone_before:
                end += len(self._text[end:]) - len(self._text[end:].lstrip(" "))
        elif not alone_before:
            before = max((at for at in self._commas if self._start(outer) < at < start), default=start)
            start = before if not self._text[before + 1 : start].strip() else start
        if alone_before and (rest := _REST_OF_LINE.match(self._text, end)):
            start, end = line, rest.end()
        self._cut(start, end, "")

    @staticmethod
    def _comment(lines: Sequence[str], column: int) -> str:
        return "".join(f"{' ' * column}# {line}\n" for line in lines)


def _scalar(value: str, style: str | None = None) -> str:
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    try:
        plain = style != '"' and yaml.safe_load(f"[{value}]") == [value]
    except yaml.YAMLError:
        plain = False
    return value if plain else json.dumps(value, ensure_ascii=False)


def _nested(rest: Path, value: Value) -> Value:
    for key in reversed(rest):
        value = {str(key): value}
    return value


def _flow(rest: Path, value: Value) -> str:
    value = _nested(rest, value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow((), inner)}' for key, inner in value.items())}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(_flow((), item) for item in value)}]"
    return _plain(value)


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else _scalar(str(value))


def _block(rest: Path, value: Value, column: int, mapping: int, dash: int) -> str:
    return "".join(f"{line}\n" for line in _lines(_nested(rest, value), column, mapping, dash))


def _lines(value: Value, column: int, mapping: int, dash: int) -> Iterator[str]:
    """The lines of a mapping or a sequence in block style, ``column`` spaces in."""
    indent = " " * column
    if not isinstance(value, Mapping):
        for item in value if isinstance(value, tuple) else ():
            if isinstance(item, Mapping):
                first, *others = _lines(item, column + 2, mapping, dash)
                yield from (f"{indent}- {first.lstrip()}", *others)
            else:
                yield f"{indent}- {_flow((), item)}"
        return
    for key, inner in value.items():
        if isinstance(inner, Mapping | tuple) and inner:
            deeper = mapping if isinstance(inner, Mapping) else dash
            yield from (f"{indent}{key}:", *_lines(inner, column + deeper, mapping, dash))
        else:
            yield f"{indent}{key}: {_flow((), inner)}"


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
    """The documents of ``text``. Raises YamlTextError when it is not YAML."""
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
    where it is not written in block style. Raises YamlTextError when ``text`` is not YAML.
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
