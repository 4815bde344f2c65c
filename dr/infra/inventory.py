"""What becomes of each resource of the infrastructure, by what is there and what the state holds. Pure.

| | there | proven gone |
|---|---|---|
| held by the state | kept | dropped from the state, and recreated |
| not held | imported, unchanged | made |

What cannot be proven is decided by nobody: an API that does not answer, or not us, says nothing about what is there. To
make what exists fails at best, and to forget what exists leaves two of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dr.core.errors import AccessError, Problem, RefusedError
from dr.stacks.resources import CloudResource


@dataclass(frozen=True, kw_only=True)
class ResourceState:
    """Whether one resource is there; None when that could not be found out, with ``why``."""

    resource: CloudResource
    there: bool | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Reconciliation:
    """What is to be done before and by the next ``pulumi up`` of one stack."""

    stack: str
    kept: tuple[CloudResource, ...] = ()
    imported: tuple[CloudResource, ...] = ()
    dropped: tuple[CloudResource, ...] = ()
    """Held, and gone. Each of them is among ``made`` too."""
    made: tuple[CloudResource, ...] = ()

    @property
    def imports(self) -> dict[str, str]:
        """The import IDs, by the resources' names, as the engine takes them."""
        return {resource.name: resource.import_id for resource in self.imported}

    @property
    def drops(self) -> tuple[str, ...]:
        """The URNs to take out of the state."""
        return tuple(resource.urn(self.stack) for resource in self.dropped)

    def as_json(self) -> dict[str, list[str]]:
        """The names, as plain values."""
        return {
            "kept": [resource.name for resource in self.kept],
            "imported": [resource.name for resource in self.imported],
            "dropped": [resource.name for resource in self.dropped],
            "made": [resource.name for resource in self.made],
        }


def check_proven(stack: str, states: Sequence[ResourceState]) -> None:
    """Raise AccessError ``survey-unproven`` with all that could not be found out."""
    if unproven := [state for state in states if state.there is None]:
        told = "; ".join(f"{state.resource.title}: {state.why}" for state in unproven)
        raise AccessError(
            "survey-unproven",
            f"whether it is there could not be found out for {len(unproven)} of {len(states)} resources of stack "
            f"{stack}: {told}",
            "repeat the command when Google answers, as a user who may read them; nothing is made, and nothing dropped "
            "from the state, on a guess",
        )


def reconcile(stack: str, states: Sequence[ResourceState], held: Mapping[str, str]) -> Reconciliation:
    """What becomes of each resource, all of them proven. ``held`` is what the state holds, by URN.

    Raises RefusedError where the state holds another thing than the one that was looked for: that one is gone
    proves nothing about the other, which would be forgotten, and keep running and costing.
    """
    others = [
        Problem(
            code="state-holds-another",
            cause=f"stack {stack} holds {held[one.resource.urn(stack)]}, and its file names {one.resource.import_id}",
            remedy="write the name that is there into the file; for a platform elsewhere use --region; to give a "
            "resource up, remove it from the state by hand (pulumi state delete)",
        )
        for one in states
        if one.resource.urn(stack) in held and not one.resource.is_known_as(held[one.resource.urn(stack)])
    ]
    if others:
        raise RefusedError(others)
    there = [state.resource for state in states if state.there]
    gone = [state.resource for state in states if not state.there]
    return Reconciliation(
        stack=stack,
        kept=tuple(resource for resource in there if resource.urn(stack) in held),
        imported=tuple(resource for resource in there if resource.urn(stack) not in held),
        dropped=tuple(resource for resource in gone if resource.urn(stack) in held),
        made=tuple(gone),
    )
