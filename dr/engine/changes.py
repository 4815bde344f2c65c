"""What a preview says, as data: which resources are created, changed, replaced, deleted, and which stay.

Everything that judges a preview or tells of it reads this: the guard, ``dr preview``, an adoption that must change
nothing, the policy pack. No value that Pulumi knows as secret ever gets in here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dr.engine.property_path import masked, value_at

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
        """Whether it is how Pulumi reaches something, and nothing that exists by itself."""
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
        """Whether anything would be done. How Pulumi reaches something is nothing that exists by itself."""
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
