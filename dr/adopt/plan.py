"""Taking over what Terraform made: what is imported, and what comes of it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dr.adopt.terraform import Match, TerraformFit, TerraformResource
from dr.core.errors import Problem, RefusedError
from dr.engine.changes import Change, Changes, Op, not_unchanged
from dr.infra.inventory import Reconciliation
from dr.stacks.resources import CloudResource, component_urn


@dataclass(frozen=True, kw_only=True)
class StackAdoption:
    """What one stack takes over. ``matches`` are imported now; ``already`` were before, and are Terraform's still;
    ``vanished`` are in Terraform's state, and gone; ``later`` is declared, not held by Terraform, and left to the next
    ``pulumi up``.
    """

    stack: str
    matches: tuple[Match, ...]
    already: tuple[Match, ...]
    vanished: tuple[CloudResource, ...]
    later: tuple[CloudResource, ...]

    @property
    def imports(self) -> dict[str, str]:
        """The import IDs, by the resources' names."""
        return {match.resource.name: match.resource.import_id for match in self.matches}

    @property
    def targets(self) -> tuple[str, ...]:
        """The URNs that the engine may deal with: what is imported, and what that stands below. Whatever else the stack
        declares would be made, and an adoption makes nothing.
        """
        resources = [match.resource for match in self.matches]
        components = {component_urn(resource.component, self.stack) for resource in resources}
        return (*sorted(components), *(resource.urn(self.stack) for resource in resources))

    def as_json(self) -> dict[str, Any]:
        """The adoption as plain values."""
        return {
            "stack": self.stack,
            "imported": [
                {"name": match.resource.name, "address": match.held.address, "id": match.resource.import_id}
                for match in self.matches
            ],
            "already": [match.resource.name for match in self.already],
            "vanished": [resource.name for resource in self.vanished],
            "later": [resource.name for resource in self.later],
        }


def decide_adoption(found: Reconciliation, fitting: TerraformFit) -> StackAdoption:
    """What of ``fitting`` the surveyed stack takes over: what Terraform holds, is there, and is not held yet."""
    matches = {match.resource.name: match for match in fitting.matches}
    return StackAdoption(
        stack=found.stack,
        matches=tuple(matches[resource.name] for resource in found.imported if resource.name in matches),
        already=tuple(matches[resource.name] for resource in found.kept if resource.name in matches),
        vanished=tuple(resource for resource in found.made if resource.name in matches),
        later=tuple(resource for resource in (*found.imported, *found.made) if resource.name not in matches),
    )


def check_unchanged(adoption: StackAdoption, changes: Changes) -> None:
    """Raise RefusedError ``adoption-would-change`` unless ``changes`` import everything and touch nothing else."""
    problems = [
        Problem(
            code="adoption-would-change",
            cause=f"{change.name} of stack {adoption.stack} is there with other values: " + _told(change),
            remedy="write what is there into the stack's file, or see to it in Terraform first",
        )
        for change in not_unchanged(changes)
    ]
    problems += [
        Problem(
            code="adoption-would-change",
            cause=f"the preview of stack {adoption.stack} would {change.op} {change.name}{_for(change)}",
            remedy="look at it with pulumi preview; an adoption only imports",
        )
        for change in changes.of(Op.CREATE, Op.UPDATE, Op.REPLACE, Op.DELETE, Op.FORGET)
        if change.type.startswith("gcp:")
    ]
    imported = {change.name for change in changes.of(Op.IMPORT)}
    wrong = [f"does not import {name}" for name in adoption.imports if name not in imported]
    problems += [
        Problem(
            code="adoption-would-change",
            cause=f"the preview of stack {adoption.stack} {what}",
            remedy="look at it with pulumi preview; an adoption only imports",
        )
        for what in (*wrong, *(f"ends with: {fault}" for fault in changes.faults))
    ]
    if problems:
        raise RefusedError(problems)


def _for(change: Change) -> str:
    return f", as {_told(change)}" if change.paths else ""


def _told(change: Change) -> str:
    return ", ".join(f"{path.path} is {path.before!r}, declared {path.after!r}" for path in change.paths)


@dataclass(frozen=True, kw_only=True)
class AdoptionReport:
    """What was taken over, or would be in a ``dry_run``. ``unknown`` is left to Terraform."""

    environment: str
    project: str
    stacks: tuple[StackAdoption, ...]
    unknown: tuple[TerraformResource, ...]
    dry_run: bool

    @property
    def count(self) -> int:
        """How many resources are imported."""
        return sum(len(adoption.matches) for adoption in self.stacks)

    @property
    def next_commands(self) -> tuple[str, ...]:
        """How it leaves Terraform's state, so that only one tool declares it."""
        taken = [match for adoption in self.stacks for match in (*adoption.matches, *adoption.already)]
        addresses = dict.fromkeys(match.held.address for match in taken)
        return tuple(f"terraform state rm {shlex.quote(address)}" for address in addresses)

    def as_json(self) -> Mapping[str, Any]:
        """The report as plain values."""
        return {
            "operation": "adopt",
            "environment": self.environment,
            "project": self.project,
            "dryRun": self.dry_run,
            "stacks": [adoption.as_json() for adoption in self.stacks],
            "unknown": [{"address": held.address, "id": held.identity} for held in self.unknown],
            "nextCommands": [] if self.dry_run else list(self.next_commands),
        }
