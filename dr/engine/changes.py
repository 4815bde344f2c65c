"""What a preview says, as data: which resources are created, changed, replaced, deleted, and which stay.

Everything that judges a preview or tells of it reads this: the guard, ``dr preview``, an adoption that must change
nothing, the policy pack. No value that Pulumi knows as secret ever gets in here.

A detailed diff names what changes by such a path and carries no values: those are looked up in the two states.

Some of a resource's fields live in Pulumi's state alone and are sent to no API. Read back at an import they have the
provider's default, so that they always differ: that changes nothing that exists.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"


class Op(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    IMPORT = "import"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    """It is taken out of the state and stays where it is."""
    READ = "read"
    KEEP = "keep"


@dataclass(frozen=True, kw_only=True)
class PathChange:
    """One property that changes. ``path`` is Pulumi's; ``kind`` is ``add``, ``update`` or ``delete``; ``replaces`` says
    that the resource is replaced because of it.
    """

    path: str
    kind: str
    replaces: bool = False
    before: Any = None
    after: Any = None

    def as_json(self) -> dict[str, Any]:
        """The change as plain values."""
        return {
            "path": self.path,
            "kind": self.kind,
            "replaces": self.replaces,
            "before": self.before,
            "after": self.after,
        }


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes of one resource.

    ``before`` are its inputs as the state has them, ``after`` as they were asked for, each None where there are none;
    ``id`` is what its provider knows it by, empty while it has none; ``protected`` is Pulumi's ``protect``, as it is
    now; ``retained`` says that its deletion would only forget it.
    """

    op: Op
    type: str
    urn: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    paths: tuple[PathChange, ...] = ()
    id: str = ""
    protected: bool = False
    retained: bool = False

    @property
    def name(self) -> str:
        """The name it is declared by."""
        return self.urn.rsplit("::", 1)[-1]

    @property
    def kind(self) -> str:
        """The last part of its type: ``Cluster``, ``Bucket``."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def is_provider(self) -> bool:
        """Whether it is how Pulumi reaches something, and nothing that exists on its own."""
        return self.type.startswith(PROVIDER_PREFIX)

    @property
    def changes(self) -> bool:
        """Whether anything is done to it, or to how it is known."""
        return self.op not in {Op.KEEP, Op.READ}

    @property
    def goes(self) -> bool:
        """Whether what is there now is gone afterwards."""
        return self.op in {Op.DELETE, Op.REPLACE}

    def old(self, path: str) -> Any:
        """What its inputs have at ``path`` now."""
        return value_at(self.before, path)

    def new(self, path: str) -> Any:
        """What its inputs will have at ``path``."""
        return value_at(self.after, path)

    def as_json(self) -> dict[str, Any]:
        """The change as plain values, without the whole of its inputs."""
        return {
            "op": str(self.op),
            "type": self.type,
            "name": self.name,
            "urn": self.urn,
            "protected": self.protected,
            "retained": self.retained,
            "paths": [path.as_json() for path in self.paths],
        }


@dataclass(frozen=True, kw_only=True)
class Changes:
    """A whole preview of one stack. ``faults`` are the errors that ended it, in Pulumi's words; ``remarks`` are its
    warnings; ``outputs`` are the stack's outputs as they will be, as far as they are known.
    """

    stack: str
    items: tuple[Change, ...] = ()
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def of(self, *ops: Op) -> tuple[Change, ...]:
        """The changes of these kinds, in the order of the preview."""
        return tuple(change for change in self.items if change.op in ops)

    @property
    def any(self) -> bool:
        """Whether anything would be done. How Pulumi reaches something is nothing that exists on its own."""
        return any(change.changes and not change.is_provider for change in self.items)

    @property
    def beyond_import(self) -> tuple[Change, ...]:
        """What would be done besides taking over what is there unchanged: an adoption must have none of it."""
        return tuple(
            change
            for change in self.items
            if change.changes and not change.is_provider and not (change.op is Op.IMPORT and not change.paths)
        )

    def as_json(self) -> dict[str, Any]:
        """The preview as plain values."""
        return {
            "stack": self.stack,
            "changes": [change.as_json() for change in self.items],
            "faults": list(self.faults),
            "remarks": list(self.remarks),
            "outputs": dict(self.outputs),
        }


@dataclass(frozen=True, kw_only=True)
class EngineStep:
    """One step of Pulumi's engine, as its events tell it. A resource can have several: a replacement has three.

    ``diff`` maps a path to the kind of its difference, such as ``update-replace``.
    """

    op: str
    urn: str
    type: str
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    keys: tuple[str, ...] = ()
    diff: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    protected: bool = False
    retained: bool = False


_REPLACING = {"replace", "create-replacement", "delete-replaced", "read-replacement", "import-replacement"}
_FORGETTING = {"discard", "discard-replaced", "remove-pending-replace"}
_PLAIN = {
    "create": Op.CREATE,
    "import": Op.IMPORT,
    "update": Op.UPDATE,
    "delete": Op.DELETE,
    "read": Op.READ,
    "same": Op.KEEP,
}


def fold_steps(steps: Iterable[EngineStep]) -> tuple[Change, ...]:
    """One change for each resource, in the order in which they first come up. What a refresh looked at is left out."""
    by_urn: dict[str, list[EngineStep]] = {}
    for step in steps:
        if step.type != STACK_TYPE and step.op != "refresh":
            by_urn.setdefault(step.urn, []).append(step)
    return tuple(_folded(found) for found in by_urn.values())


def _folded(steps: list[EngineStep]) -> Change:
    ops = {step.op for step in steps}
    kind = steps[0].type
    old = next((step for step in steps if step.old is not None), None)
    new = next((step for step in reversed(steps) if step.new is not None), None)
    retained = any(step.retained for step in steps)
    before = masked(old.old, kind=kind) if old else None
    after = masked(new.new, kind=kind) if new else None
    return Change(
        op=_op(ops, retained=retained),
        type=kind,
        urn=steps[0].urn,
        before=before,
        after=after,
        paths=_paths(steps, before, after),
        id=next((step.id for step in steps if step.id), ""),
        protected=any(step.protected for step in steps),
        retained=retained,
    )


def _op(ops: set[str], *, retained: bool) -> Op:
    if ops & _REPLACING:
        return Op.REPLACE
    if {"delete", "create"} <= ops:
        # One that was left to be deleted by an earlier run, and its successor.
        return Op.REPLACE
    if "delete" in ops:
        return Op.FORGET if retained else Op.DELETE
    for op in ("import", "create", "update", "read", "same"):
        if op in ops:
            return _PLAIN[op]
    return Op.FORGET if ops & _FORGETTING else Op.KEEP


def _paths(steps: list[EngineStep], before: Any, after: Any) -> tuple[PathChange, ...]:
    told: dict[str, str] = {}
    replacing: set[str] = set()
    for step in steps:
        told |= step.diff
        replacing |= set(step.keys)
    for key in replacing:
        told.setdefault(key, "update-replace")
    return tuple(
        PathChange(
            path=path,
            kind=kind.removesuffix("-replace"),
            replaces=kind.endswith("-replace") or path in replacing,
            before=value_at(before, path),
            after=value_at(after, path),
        )
        for path, kind in sorted(told.items())
        if not path.startswith("__")
    )


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


_STATE_ONLY = {"deletionPolicy", "deletionProtection", "forceDestroy"}


def not_unchanged(changes: Changes) -> tuple[Change, ...]:
    """The imports that would change what they import: Pulumi imports, and updates in the same run (pulumi#19339)."""
    return tuple(change for change in changes.of(Op.IMPORT) if differences(change))


def differences(change: Change) -> tuple[str, ...]:
    """The paths that an import would change in what exists."""
    return tuple(path.path for path in change.paths if path.path not in _STATE_ONLY)
