"""A preview of one stack, read as data.

Pulumi's events are read, not its output: they have every step with both states, those that change nothing too, with
secrets taken out. The Automation API swallows what is raised while they are handed over, so they are only kept there,
and judged after the end.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from pulumi.automation import CommandError, Stack
from pulumi.automation.events import EngineEvent, StepEventMetadata

from dr.engine.changes import STACK_TYPE, Change, Changes, EngineStep, Op, fold_steps, masked
from dr.engine.command import InterruptibleCommand
from dr.engine.workspace import explained

_COLOR = re.compile(r"<\{%.*?%\}>")
_OF_PROGRAMS = re.compile(r"using pulumi-\S+ from \$PATH")
"""Where a provider's program was found: nothing that a change is about."""
_PROTECTED = re.compile(r"protect", re.IGNORECASE)


def preview(command: InterruptibleCommand, stack: Stack, *, targets: Collection[str] = ()) -> Changes:
    """``pulumi preview``, of ``targets`` only where there are any, after a look at what is really there. Changes
    nothing, takes no lock. Raises EngineError.

    A preview that Pulumi ends because something protected would go is an answer and no error: it is shown as a
    deletion, with the fault next to it.
    """
    events: list[EngineEvent] = []

    def work() -> None:
        try:
            stack.preview(
                refresh=not targets,  # as in bring_up
                on_event=events.append,
                suppress_progress=True,
                suppress_outputs=True,
                color="never",
                target=list(targets) or None,
            )
        except CommandError:
            if not any(_PROTECTED.search(fault) for fault in _said(events, "error")):
                raise

    explained(stack.name, command, work)
    return read_events(stack.name, events)


def read_events(stack: str, events: list[EngineEvent]) -> Changes:
    """What the events of a preview say."""
    steps = [_step(event.resource_pre_event.metadata) for event in events if event.resource_pre_event]
    items = fold_steps(steps)
    known = {change.urn for change in items if change.op is not Op.KEEP}
    barred = tuple(_barred(urn) for urn in _protected(events) if urn not in known)
    return Changes(
        stack=stack,
        items=(*(change for change in items if change.urn not in {one.urn for one in barred}), *barred),
        faults=tuple(_said(events, "error")),
        remarks=tuple(said for said in _said(events, "warning") if not _OF_PROGRAMS.match(said)),
        outputs=_outputs(events),
    )


def _step(metadata: StepEventMetadata) -> EngineStep:
    old, new = metadata.old, metadata.new
    state = old or new
    return EngineStep(
        op=str(metadata.op.value),
        urn=metadata.urn,
        type=metadata.type,
        old=(old.inputs or {}) if old else None,
        new=(new.inputs or {}) if new else None,
        keys=tuple(metadata.keys or ()),
        diff={path: str(found.diff_kind.value) for path, found in (metadata.detailed_diff or {}).items()},
        id=state.id if state else "",
        # A flag that the program takes away with the resource, or in the same run, is none any more for the engine.
        protected=bool(old.protect if old else new and new.protect),
        retained=bool(old.retain_on_delete if old else new and new.retain_on_delete),
    )


def _said(events: list[EngineEvent], severity: str) -> list[str]:
    found = (event.diagnostic_event for event in events)
    told = [one.message for one in found if one and one.severity == severity and not one.ephemeral]
    return list(dict.fromkeys(_COLOR.sub("", text).strip() for text in told if text.strip()))


def _protected(events: list[EngineEvent]) -> list[str]:
    """The URNs of what Pulumi would not delete."""
    found = (event.diagnostic_event for event in events)
    return [one.urn for one in found if one and one.urn and one.severity == "error" and _PROTECTED.search(one.message)]


def _barred(urn: str) -> Change:
    kind = urn.split("::")[-2].rsplit("$", 1)[-1]
    return Change(op=Op.DELETE, type=kind, urn=urn, protected=True)


def _outputs(events: list[EngineEvent]) -> Mapping[str, Any]:
    for event in reversed(events):
        outputs = event.res_outputs_event
        if outputs and outputs.metadata.type == STACK_TYPE and outputs.metadata.new:
            found = masked(outputs.metadata.new.outputs or {})
            return found if isinstance(found, Mapping) else {}
    return {}
