"""Taking over what the old Terraform made: into Pulumi's state, and nothing else of it is touched."""

from collections.abc import Collection, Sequence
from threading import Event

from dr.adopt.plan import AdoptionReport, StackAdoption, check_unchanged, decide_adoption
from dr.adopt.terraform import TerraformResource, fit
from dr.config.infrastructure import Infrastructure
from dr.core.errors import DrError, InterruptedOperationError, Stopped
from dr.core.plan import StepTaken
from dr.engine.infrastructure_stack import InfrastructureStack
from dr.infra.google import take_inventory
from dr.stacks.resources import resources_of

_LOOK_SECONDS = 0.5


def prepare_adoption(
    infrastructure: Infrastructure,
    stacks: Sequence[InfrastructureStack],
    held: Sequence[TerraformResource],
    *,
    environment: str,
    left: Collection[str] = (),
) -> AdoptionReport:
    """What :func:`adopt` would do to ``stacks``, one of the infrastructure's or both, seen in a preview of each that
    changes nothing. Raises RefusedError where the state and the stacks contradict each other or something would be
    changed, AccessError, EngineError.
    """
    parts = (infrastructure.durable, infrastructure.platform)
    fitting = fit(held, [resource for part in parts for resource in resources_of(part)], left=left)
    adoptions = []
    for stack in stacks:
        adoption = decide_adoption(take_inventory(stack), fitting)
        if adoption.matches:
            check_unchanged(adoption, stack.preview(adoption.imports, targets=adoption.targets))
        adoptions.append(adoption)
    return AdoptionReport(
        environment=environment,
        project=infrastructure.durable.gcp_project,
        stacks=tuple(adoptions),
        unknown=fitting.unknown,
        dry_run=True,
    )


def adopt(stack: InfrastructureStack, adoption: StackAdoption, *, go_on: str, stop: Event) -> None:
    """Import what was agreed to. Raises EngineError, or InterruptedOperationError once ``stop`` is set; what was
    imported until then stays, and ``go_on`` imports the rest.
    """
    if not adoption.matches:
        return None
    try:
        stack.up(adoption.imports, targets=adoption.targets)
        while True:
            try:
                return stack.result(_LOOK_SECONDS)
            except TimeoutError:
                if stop.is_set():
                    raise InterruptedOperationError(
                        "interrupted", "you interrupted it", "repeat the command: it continues"
                    ) from None
    except DrError as error:
        step = StepTaken(key="import", title=f"Import into stack {adoption.stack}")
        error.stopped = Stopped(at=step, done=(), go_on=go_on, journal=f"the history of stack {adoption.stack}")
        raise
    finally:
        stack.interrupt()
