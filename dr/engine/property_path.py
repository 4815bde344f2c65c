"""Pulumi's property paths, such as ``spec.plugins[0].name`` and ``metadata.annotations["pulumi.com/patchForce"]``.

A detailed diff names what changes by such a path and carries no values: those are looked up in the two states.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SECRET = "[secret]"  # noqa: S105 - the word that stands for one

_PART = re.compile(r"""\.?(?P<name>[^.\["\]]+)|\[(?P<index>\d+)\]|\["(?P<quoted>(?:[^"\\]|\\.)*)"\]""")
_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a value as more than it seems (``sdk/go/common/resource/sig``)."""
_UNKNOWN = {"04da6b54-80e4-46f7-96ec-b56ff0331ba9": "[known later]"}
"""What Pulumi writes in place of a value that a preview cannot know (``sdk/go/common/resource/plugin``)."""
_SECRET_KEYS = re.compile(
    r"(password|passwd|passphrase|token|private_?key|secret_?key|access_?key|credential|kubeconfig)s?$", re.IGNORECASE
)
_OF_SECRETS = {"data", "stringData", "binaryData"}
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+:[^/@\s]+(?=@)")


def parts(path: str) -> tuple[str | int, ...]:
    """The keys and indices that ``path`` leads through."""
    return tuple(
        int(found["index"])
        if found["index"] is not None
        else (found["name"] if found["name"] is not None else json.loads(f'"{found["quoted"]}"'))
        for found in _PART.finditer(path)
    )


def value_at(document: Any, path: str) -> Any:
    """What stands at ``path``, None where there is nothing."""
    for part in parts(path):
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, Sequence) and not isinstance(document, str) and isinstance(part, int):
            document = document[part] if part < len(document) else None
        else:
            return SECRET if document == SECRET else None
    return document


def differing(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """The paths at which two documents differ, the deepest that tell them apart."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differing(before.get(key), after.get(key), _below(path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differing(old, new, f"{path}[{index}]")
    elif before != after:
        yield path


def _below(path: str, key: str) -> str:
    if re.fullmatch(r"[^.\[\]\"]+", key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


def masked(value: Any, *, kind: str = "") -> Any:
    """``value`` with every secret in it replaced by a word: those that Pulumi knows as such, all that a Kubernetes
    Secret holds, and whatever is named like one. ``kind`` is the type of the resource that it belongs to.
    """
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            return SECRET
        hidden = _OF_SECRETS if kind.startswith("kubernetes:core/v1:Secret") else set()
        return {
            str(key): SECRET
            if key in hidden or (_SECRET_KEYS.search(str(key)) and isinstance(one, str | int | float))
            else masked(one, kind=kind)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [masked(one, kind=kind) for one in value]
    if isinstance(value, str):
        return _UNKNOWN.get(value) or _USER_IN_URL.sub(SECRET, value)
    return value
