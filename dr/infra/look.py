"""Looking at the infrastructure as it is, and bringing it to what is declared without touching what survives."""

from dr.engine.infrastructure_stack import InfrastructureStack
from dr.infra.google import GoogleApi
from dr.infra.survey import Reconciliation, check_proven, reconcile
from dr.stacks.resources import resources_of


def survey(stack: InfrastructureStack) -> Reconciliation:
    """What is there, what the state holds, and what follows for each resource. Changes nothing. Raises AccessError when
    something cannot be proven, RefusedError where the state holds something else, EngineError.
    """
    api = GoogleApi()
    sightings = [api.look(resource) for resource in resources_of(stack.part)]
    check_proven(stack.part.name, sightings)
    return reconcile(stack.part.name, sightings, stack.held())
