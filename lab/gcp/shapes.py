"""Whether inputs have the shape that pulumi-gcp's own Python types give them: names, types, what is required."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi import _types as pulumi_types
from pulumi.runtime.rpc import UNKNOWN


def names_of(args: type) -> dict[str, str]:
    """Python name -> the schema's name of every input of an args class of the SDK."""
    return pulumi_types.input_type_py_to_pulumi_names(args)


def required_of(args: type) -> set[str]:
    """The inputs that have to be given, by the schema's names."""
    parameters = inspect.signature(args.__init__).parameters.values()  # type: ignore[misc]
    needed = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
    return {theirs for python, theirs in names_of(args).items() if python in needed}


def outputs_of(resource: type) -> set[str]:
    """Every property that a resource class of the SDK has."""
    return set(pulumi_types.resource_types(resource))


def problems(args: type, values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Everything wrong with the shape of `values`, as the path of a property and what is wrong with it.

    Args:
        args: a class of the SDK, as `storage.BucketArgs`.
        values: the inputs; a value that is not known yet has no shape to complain of.
        path: of the property whose value they are.
    """
    declared = pulumi_types.input_type_types(args)
    for name in sorted(required_of(args)):
        if values.get(name) is None:
            yield _below(path, name), "Missing required property"
    for name, value in values.items():
        if name not in declared:
            yield _below(path, name), "Invalid or unknown key"
        elif value is not None:
            yield from _mistyped(declared[name], value, _below(path, name))


def _mistyped(declared: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    wanted = _plain(declared)
    origin = typing.get_origin(wanted)
    if value == UNKNOWN or wanted is Any:
        return
    if origin is collections.abc.Sequence:
        yield from _mistyped_list(wanted, value, path)
    elif origin is collections.abc.Mapping:
        yield from _mistyped_mapping(wanted, value, path)
    elif inspect.isclass(wanted) and pulumi_types.is_input_type(wanted):
        if isinstance(value, Mapping):
            yield from problems(wanted, value, path)
        else:
            yield path, f"expected an object, got {value!r}"
    elif inspect.isclass(wanted) and not _is_of(wanted, value):
        yield path, f"expected {wanted.__name__}, got {value!r}"


def _mistyped_list(wanted: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, f"expected a list, got {value!r}"
        return
    (of,) = typing.get_args(wanted)
    for index, item in enumerate(value):
        yield from _mistyped(of, item, f"{path}[{index}]")


def _mistyped_mapping(wanted: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield path, f"expected an object, got {value!r}"
        return
    of = typing.get_args(wanted)[1]
    for key, item in value.items():
        yield from _mistyped(of, item, _below(path, key))


def _plain(declared: Any) -> Any:
    """The type within `Union[type, Awaitable[type], Output[type]]` and `Optional[type]`."""
    while typing.get_origin(declared) in (typing.Union, types.UnionType):
        declared = next(one for one in typing.get_args(declared) if one is not types.NoneType)
    return declared


def _is_of(wanted: type, value: Any) -> bool:
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
